"""Many seeds, or one: the command line of the simulation.

``python -m tests.simulation --seeds 500`` runs a sweep; ``--seed n --timeline`` replays one seed.
Owns what is printed. Exit status 1 when a check was violated.
"""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.simulation.scenario import Scenario, scenario
from tests.simulation.shrink import shrink
from tests.simulation.world import Outcome, World


class Report(NamedTuple):
    """What a sweep keeps of one seed."""

    seed: int
    violations: list[tuple[str, str]]
    virtual_s: float
    faults: dict[str, int]
    checked: int
    turns: int


def run(made: Scenario, with_timeline: bool = False) -> Outcome:
    """One run, without the garbage collector striking in the middle of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return World(made, with_timeline).run()
    finally:
        if was_enabled:
            gc.enable()


def run_seed(seed: int) -> Report:
    outcome = run(scenario(seed))
    if seed % 16 == 0:
        gc.collect()
    return Report(seed, outcome.violations, outcome.virtual_s, outcome.faults, outcome.checked, outcome.turns)


def run_seeds(seeds: Iterable[int], jobs: int) -> Iterator[Report]:
    if jobs <= 1:
        yield from map(run_seed, seeds)
        return
    # What is imported lives for ever: a collection need not look at it.
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=gc.freeze) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=4)


def replay_command(seed: int, without: Iterable[str] = (), steps: int | None = None) -> str:
    command = f".venv/bin/python -m tests.simulation --seed {seed} --timeline"
    for fault in without:
        command += f" --without {fault}"
    return command if steps is None else f"{command} --steps {steps}"


def _sweep(start: int, count: int, jobs: int) -> int:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    began = time.perf_counter()
    faults: Counter[str] = Counter()
    virtual_s, checked, turns = 0.0, 0, 0
    failed: list[Report] = []
    columns = (TextColumn("seeds"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("seeds", total=count)
        for report in run_seeds(range(start, start + count), jobs):
            progress.advance(bar)
            faults.update(report.faults)
            virtual_s += report.virtual_s
            checked += report.checked
            turns += report.turns
            if report.violations:
                failed.append(report)
                print(f"seed {report.seed}: {report.violations[0][0]}: {report.violations[0][1]}")
                print(f"    {replay_command(report.seed)}")
    took_s = time.perf_counter() - began
    print(
        f"{count} seeds in {took_s:.0f} s, {count / took_s:.1f} seeds/s with {jobs} jobs;"
        f" {virtual_s / 3600:.1f} virtual hours; {checked:,} answers and {turns:,} turns checked"
    )
    print("faults: " + ", ".join(f"{kind} {number:,}" for kind, number in sorted(faults.items())))
    if not failed:
        print("no check was violated")
        return 0
    print(f"{len(failed)} of {count} seeds violate a check")
    _explain(min(failed, key=lambda report: report.seed).seed)
    return 1


def _explain(seed: int) -> None:
    """Shrink one failure, and say how to see it."""
    small = shrink(scenario(seed), run)
    print(
        f"seed {seed}, shrunk to {len(small.scenario.plan)} commands and the faults"
        f" {', '.join(sorted(small.scenario.faults)) or 'none'}: {small.violation[0]}: {small.violation[1]}"
    )
    print(f"    {replay_command(seed, sorted(small.dropped), len(small.scenario.plan))}")


def _one(seed: int, without: list[str], steps: int | None, with_timeline: bool) -> int:
    made = scenario(seed)
    for fault in without:
        made = made.without(fault)
    if steps is not None:
        made = made.shortened(steps)
    outcome = run(made, with_timeline)
    if with_timeline:
        print("\n".join(outcome.timeline))
    for check, what in outcome.violations:
        print(f"seed {seed}: {check}: {what}")
    if not outcome.violations:
        print(f"seed {seed}: no check was violated; {outcome.checked} answers, {outcome.turns} turns")
    return 1 if outcome.violations else 0


def main() -> None:
    parser = argparse.ArgumentParser("tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--timeline", action="store_true", help="print what happened, moment by moment")
    parser.add_argument(
        "--without", action="append", default=[], help="leave a kind of fault, or tables, out"
    )
    parser.add_argument("--steps", type=int, help="keep only so many commands")
    parser.add_argument("--shrink", action="store_true", help="shrink the failure of --seed")
    parser.add_argument("--planted", action="store_true", help="how many seeds catch each planted fault")
    arguments = parser.parse_args()
    logging.disable(logging.NOTSET)
    if arguments.planted:
        from tests.simulation.planted import PLANTED
        from tests.simulation.planting import print_table

        sys.exit(print_table(PLANTED))
    if arguments.seed is not None:
        if arguments.shrink:
            _explain(arguments.seed)
            sys.exit(1)
        sys.exit(_one(arguments.seed, arguments.without, arguments.steps, arguments.timeline))
    sys.exit(_sweep(arguments.start, arguments.seeds, arguments.jobs))
