"""The simulator is tested too: it must catch what is planted.

The quick ones run here; ``python -m tests.simulation --planted`` prints the table of all.
"""

from __future__ import annotations

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.planting import Planted, catch

QUICK_SEEDS = 30


@pytest.mark.parametrize(
    "planted", [p for p in PLANTED if p.seeds_max <= QUICK_SEEDS], ids=lambda planted: planted.name
)
def test_a_planted_fault_is_caught(planted: Planted) -> None:
    assert catch(planted) is not None


def test_there_are_enough_of_them() -> None:
    assert len(PLANTED) >= 12
    assert len({planted.name for planted in PLANTED}) == len(PLANTED)
