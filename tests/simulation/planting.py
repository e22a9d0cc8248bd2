"""How a fault is planted, and how many seeds it takes until a check finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.simulation.scenario import Scenario, scenario
from tests.simulation.sweep import run

Patches = Iterable[tuple[Any, str, Any]]


@dataclass(frozen=True)
class Planted:
    name: str
    patches: Callable[[], Patches]
    seeds_max: int = 60
    """Within so many seeds it must be caught."""
    needs: frozenset[str] = frozenset()
    """Seeds without one of these kinds of faults cannot show it, and are skipped."""
    is_of_tables: bool = False
    """So are seeds without a table."""

    def could_show(self, made: Scenario) -> bool:
        if self.is_of_tables and not made.tables:
            return False
        return not self.needs or bool(self.needs & made.faults)

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for target, attribute, replacement in self.patches():
                stack.enter_context(patch.object(target, attribute, replacement))
            yield


def catch(planted: Planted, seeds_max: int | None = None) -> tuple[int, str] | None:
    """``(seeds until caught, check that caught it)``, or None."""
    with planted.applied():
        for seed in range(seeds_max or planted.seeds_max):
            made = scenario(seed)
            if not planted.could_show(made):
                continue
            violations = run(made).violations
            if violations:
                return seed + 1, f"{violations[0][0]}: {violations[0][1]}"
    return None


def print_table(every: Iterable[Planted]) -> int:
    missed = 0
    print(f"{'fault':<50} {'seeds':>5} {'at most':>7}  caught by")
    for planted in every:
        caught = catch(planted)
        missed += caught is None
        seeds, by = caught if caught is not None else ("—", "NOTHING")
        print(f"{planted.name:<50} {seeds:>5} {planted.seeds_max:>7}  {by[:90]}", flush=True)
    return 1 if missed else 0
