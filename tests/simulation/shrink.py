"""Makes a failing scenario smaller while it still fails the same check. Cheap, not minimal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.simulation.scenario import Scenario
from tests.simulation.world import Outcome

RUNS_MAX = 60


class Shrunk(NamedTuple):
    scenario: Scenario
    violation: tuple[str, str]
    dropped: set[str]
    """Kinds of faults that the failure does not need, and ``tables``."""


def shrink(failing: Scenario, run: Callable[[Scenario], Outcome]) -> Shrunk:
    """Drop kinds of faults one by one, then halve the workload, as long as the check still fails."""
    outcome = run(failing)
    if not outcome.violations:
        raise ValueError(f"seed {failing.seed} does not fail")
    check = outcome.violations[0][0]
    best, violation, dropped = failing, outcome.violations[0], set()
    runs = 0

    def fails(candidate: Scenario) -> tuple[str, str] | None:
        nonlocal runs
        runs += 1
        found = run(candidate).violations
        return found[0] if found and found[0][0] == check else None

    parts = sorted(failing.faults)
    for fault in ["tables", *parts] if failing.tables else parts:
        if runs < RUNS_MAX and (found := fails(candidate := best.without(fault))):
            best, violation = candidate, found
            dropped.add(fault)
    step = len(best.plan) // 2
    while step and runs < RUNS_MAX:
        candidate = best.shortened(len(best.plan) - step)
        if found := fails(candidate):
            best, violation = candidate, found
            step = min(step, len(best.plan) // 2)
        else:
            step //= 2
    return Shrunk(best, violation, dropped)
