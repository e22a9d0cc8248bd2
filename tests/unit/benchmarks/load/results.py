"""A result as a run would give it, for tests of what is made of one."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from benchmarks.load.commits import Bucket, Commits
from benchmarks.load.generator import LoadResult
from benchmarks.load.machine import Machine
from benchmarks.load.plan import Wishes, plan_of
from benchmarks.load.processes import Usage
from benchmarks.load.recorder import Recorder
from benchmarks.load.result import Result, Sample, Subject, latency_of, merge, verdicts_of
from benchmarks.load.saturation import GeneratorSecond
from benchmarks.load.thresholds import parse_threshold
from benchmarks.measurements import Timing, encoded_histogram
from benchmarks.scenarios.catalogue import SCENARIOS

S = 1_000_000_000
SPIN = SCENARIOS["spin"]


def recorded(times_us: list[int], seconds: float = 10.0, **more: Any) -> LoadResult:
    """One generator's result, of spins that were due evenly over the time and took so long."""
    recorder = Recorder(0, seconds)
    for number, time_us in enumerate(times_us):
        at_ns = int(number * seconds * S / len(times_us))
        recorder.arrived(at_ns)
        recorder.answered("spin", at_ns, at_ns + time_us * 1_000)
    late = Timing()
    late.record(60, len(times_us))
    result = LoadResult(
        arrivals=recorder.arrivals,
        answers=recorder.answers,
        errors={},
        retried={},
        kinds={kind: timing.encoded() for kind, timing in recorder.kinds.items()},
        slices=recorder.slices(),
        late=late.encoded(),
        given_up=0,
        seconds=[GeneratorSecond(0.4, 0.06, 0.3)] * int(seconds),
        reconnects=0,
        event_gaps=0,
        figures={},
    )
    return msgspec.structs.replace(result, **more)


def a_result(**more: Any) -> Result:
    """Of 10 s of spins at 100/s."""
    random = Random(3)
    plan = plan_of(SPIN, Wishes(rate=100, duration_s=10, warm_up_s=1, connections=20))
    merged = merge(SPIN, plan, [recorded([int(random.lognormvariate(8, 0.6)) for _ in range(1_000)])], 10.0)
    result = Result(
        ok=True,
        scenario="spin",
        subject=Subject("casino", "http://127.0.0.1:8000", True, {}),
        command="casino bench spin",
        began_at="2026-01-02T03:04:05+00:00",
        interrupted=False,
        plan=plan,
        arrivals=merged.arrivals,
        answers=merged.answers,
        lost=merged.lost,
        errors=merged.errors,
        retried=merged.retried,
        reconnects=0,
        figures=merged.figures,
        latency=latency_of(merged.histogram),
        kinds={kind: latency_of(histogram) for kind, histogram in merged.kinds.items()},
        points=merged.points,
        histogram=encoded_histogram(merged.histogram),
        generator=merged.generator,
        verdicts=verdicts_of([parse_threshold("lost==0")], merged),
        samples=[
            Sample(at + 0.5, [Usage("gateway", 0.3, 10**8), Usage("load generator", 0.4, 5 * 10**7)])
            for at in range(-1, 10)
        ],
        memory_before={"gateway": 9 * 10**7},
        memory_after={"gateway": 10**8},
        commits=Commits(50, 4.0, 1.5, [Bucket(5.0, 40), Bucket(None, 10)], [Bucket(2.0, 50)]),
        machine=Machine(2, "a CPU", "6.1", 2**33, 0.1, 0.1, 0.4, "the output", {"Python": "3.11"}),
    )
    return msgspec.structs.replace(result, **more)
