"""A whole run of a scenario against a target: generators in processes of their own, and everything that
is looked at meanwhile.

Owns the order of things. ``run(scenario, target, plan)`` is what a comparison of several servers calls.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from benchmarks.load import commits
from benchmarks.load.generator import LoadResult, LoadStatus
from benchmarks.load.machine import fingerprint
from benchmarks.load.plan import Plan, options_of
from benchmarks.load.processes import LOAD, Processes, server_roots
from benchmarks.load.result import Merged, Result, Sample, Subject, latency_of, merge, verdicts_of
from benchmarks.load.target import Target
from benchmarks.load.thresholds import Threshold
from benchmarks.measurements import encoded_histogram
from benchmarks.scenarios.scenario import Observation, Scenario
from benchmarks.troupe import in_own_process, perform

_SAMPLES_MAX = 1_000


class Moment(NamedTuple):
    """How a run is going, about once a second. Percentiles are of the slowest generator."""

    phase: str
    elapsed_s: float
    left_s: float
    rate: float
    p50_ms: float
    p99_ms: float
    failures: int
    in_flight: int
    connections: int
    late_ms: float
    cpu_share: float


class Outcome(NamedTuple):
    result: Result
    merged: Merged


async def run(
    scenario: Scenario,
    target: Target,
    plan: Plan,
    thresholds: Sequence[Threshold],
    *,
    command: str,
    probe: Path,
    show: Callable[[Moment], None] = lambda moment: None,
    interrupt: asyncio.Event | None = None,
) -> Outcome:
    """``probe`` is a directory whose disk is probed when the target's is not known. ``interrupt`` ends the
    run early, with a result.

    Raises:
        SignUpFailed: the server does not take the players.
        BotProcessFailed: a generator died.
        ValueError: the plan makes no sense.
        OSError: the disk cannot be probed.
    """
    interrupt = interrupt or asyncio.Event()
    watch = _Watch(scenario, target, plan, interrupt, show)
    machine = await asyncio.to_thread(
        fingerprint,
        target.data or probe,
        "the server's data directory" if target.data is not None else "the directory of the output",
        [path for path in [watch.processes.executable("Postgres")] if path is not None],
    )
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    async with AsyncExitStack() as stack:
        troupes = [
            await stack.enter_async_context(in_own_process(options, LoadStatus, LoadResult))
            for options in options_of(plan, scenario, target)
        ]
        results = await perform(
            troupes, plan.total_s, interrupt, watch.gathering, watch.second, watch.gathered
        )
        commits_between = await watch.commits()
    merged = merge(scenario, plan, results, watch.measured_s)
    if scenario.conclude is not None and watch.processes.is_seen and watch.samples:
        merged.figures |= scenario.conclude(watch.observation(merged))
    verdicts = verdicts_of(thresholds, merged)
    result = Result(
        ok=all(verdict.ok for verdict in verdicts),
        scenario=scenario.name,
        subject=Subject(target.name, target.url, target.is_local, target.settings),
        command=command,
        began_at=began_at,
        interrupted=interrupt.is_set(),
        plan=plan,
        arrivals=merged.arrivals,
        answers=merged.answers,
        lost=merged.lost,
        errors=merged.errors,
        retried=merged.retried,
        reconnects=merged.reconnects,
        figures=merged.figures,
        latency=latency_of(merged.histogram),
        kinds={kind: latency_of(histogram) for kind, histogram in merged.kinds.items()},
        points=merged.points,
        histogram=encoded_histogram(merged.histogram),
        generator=merged.generator,
        verdicts=verdicts,
        samples=watch.samples,
        memory_before=watch.memory_before,
        memory_after=watch.memory_after,
        commits=commits_between,
        machine=machine,
    )
    return Outcome(result, merged)


class _Watch:
    """What is seen from outside while the generators work."""

    def __init__(
        self,
        scenario: Scenario,
        target: Target,
        plan: Plan,
        interrupt: asyncio.Event,
        show: Callable[[Moment], None],
    ) -> None:
        self.processes = Processes(server_roots(target))
        self.samples: list[Sample] = []
        self.memory_before: dict[str, int] = {}
        self.memory_after: dict[str, int] = {}
        self.measured_s = plan.measured_s
        self._scenario = scenario
        self._target = target
        self._plan = plan
        self._interrupt = interrupt
        self._show = show
        self._commits_before: asyncio.Task[dict[commits.Sample, float]] | None = None
        self._every = max(1, int(plan.total_s / _SAMPLES_MAX))
        self._looks = 0
        self.processes.sample(monotonic())

    def gathering(self) -> None:
        self._show(Moment("getting ready", 0, self._plan.total_s, 0, 0, 0, 0, 0, 0, 0, 0))

    def gathered(self) -> None:
        gc.collect()
        self._commits_before = asyncio.create_task(commits.read(self._target.metrics))
        self.memory_before = self.processes.private_bytes()
        self.processes.sample(monotonic())

    def second(self, elapsed_s: float, statuses: Sequence[LoadStatus]) -> bool:
        plan = self._plan
        at_s = elapsed_s - plan.warm_up_s
        self._looks += 1
        if self.processes.is_seen and self._looks % self._every == 0:
            self.samples.append(Sample(round(at_s, 3), self.processes.sample(monotonic())))
        self._show(
            Moment(
                "warming up" if at_s < 0 else "measuring",
                elapsed_s,
                max(0.0, plan.total_s - elapsed_s),
                sum(status.answers for status in statuses),
                max(status.p50_ms for status in statuses),
                max(status.p99_ms for status in statuses),
                sum(status.failures for status in statuses),
                sum(status.in_flight for status in statuses),
                sum(status.connections for status in statuses),
                max(status.generator.late_p99_ms for status in statuses),
                max(status.generator.cpu_share for status in statuses),
            )
        )
        if elapsed_s >= plan.total_s - 0.01 or self._interrupt.is_set():
            self.measured_s = min(plan.measured_s, max(at_s, 1e-3))
            self.memory_after = self.processes.private_bytes()
            self._show(Moment("waiting for answers", elapsed_s, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        return True

    async def commits(self) -> commits.Commits | None:
        """Between the gathering and now."""
        if self._commits_before is None:
            return None
        return commits.between(await self._commits_before, await commits.read(self._target.metrics))

    def observation(self, merged: Merged) -> Observation:
        plan = self._plan
        used: dict[str, float] = {}
        idle: list[float] = []
        # Connections are open when the first stage has passed; the second after it they settle.
        open_s = plan.stages[0].seconds + 1.0 if self._scenario.holds else float("inf")
        before_s = 0.0
        for sample in self.samples:
            if sample.at_s > 0:
                for usage in sample.usage:
                    if usage.role != LOAD:
                        passed_s = sample.at_s - before_s
                        used[usage.role] = used.get(usage.role, 0.0) + usage.cpu_share * passed_s
            if sample.at_s > open_s:
                idle.append(sum(usage.cpu_share for usage in sample.usage if usage.role != LOAD))
            before_s = max(0.0, sample.at_s)
        return Observation(
            connections=plan.connections,
            answers=merged.answers,
            memory_before=self.memory_before,
            memory_after=self.memory_after,
            cpu_s=used,
            idle_cpu_share=sum(idle) / len(idle) if idle else None,
        )
