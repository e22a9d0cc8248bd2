"""A short sweep with every ``make test``; ``make sim`` runs a long one."""

from __future__ import annotations

import pytest

from tests.simulation.scenario import scenario
from tests.simulation.sweep import replay_command, run

SEEDS = 60


@pytest.mark.parametrize("begin", range(0, SEEDS, 15))
def test_no_check_is_violated(begin: int) -> None:
    for seed in range(begin, begin + 15):
        violations = run(scenario(seed)).violations
        assert not violations, f"{violations[0]}: {replay_command(seed)}"


# Seeds that found a defect of the runtime while the simulation was written: (seed, what it was).
FOUND = (
    (25, "a repeat of a forgotten command was refused; repeats took each other's replies away"),
    (26, "a defective turn took an innocent send of its actor along"),
    (94, "a host that was given up, but lived, kept its shards for ever"),
    (383, "takeover without fencing of a host that died during the round"),
    (548, "a take on its way overtaken by a release gave the shard to two hosts"),
    (608, "a second release returned while the first was still draining"),
    (902, "an exception that nobody looks at when a host hangs up during a greeting"),
    (1070, "two coordinators: the one gave back what the other gave away"),
    (1210, "the same, seen as an answer of a host that is no owner"),
)


@pytest.mark.parametrize(("seed", "defect"), FOUND)
def test_what_was_found_stays_mended(seed: int, defect: str) -> None:
    violations = run(scenario(seed)).violations
    assert not violations, f"{defect}? {violations[0]}: {replay_command(seed)}"
