from random import Random

import pytest

from benchmarks.crash.strategy import STAKE_MAX, STRATEGIES, Plan, Strategy


def strategy(name: str, seed: int = 1) -> Strategy:
    return Strategy(list(STRATEGIES).index(name), Random(seed))


def test_every_strategy_has_its_bots_in_turn() -> None:
    names = [Strategy(number, Random(0)).name for number in range(2 * len(STRATEGIES))]
    assert names == [*STRATEGIES, *STRATEGIES]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_gives_the_same_plans_within_the_rules(name: str) -> None:
    one, other = strategy(name, 5), strategy(name, 5)
    plans = [one.plan(10_000) for _ in range(300)]
    assert plans == [other.plan(10_000) for _ in range(300)]
    taken = [plan for plan in plans if plan is not None]
    assert all(1 <= plan.stake <= STAKE_MAX for plan in taken)
    assert all(plan.auto is None or plan.auto >= 101 for plan in taken)
    assert all(plan.target is None or plan.target >= 101 for plan in taken)


def test_what_the_names_say() -> None:
    assert {strategy("auto 1.01").plan(99).auto for _ in range(9)} == {101}  # type: ignore[union-attr]
    assert {strategy("auto 100.00").plan(99).auto for _ in range(9)} == {10_000}  # type: ignore[union-attr]
    rider = strategy("rider").plan(99)
    assert rider is not None
    assert rider == Plan(rider.stake)
    skipper = strategy("skipper")
    sat_out = sum(skipper.plan(99) is None for _ in range(300))
    assert 100 < sat_out < 290
    by_hand = [strategy("manual target", seed).plan(99) for seed in range(100)]
    assert any(plan is not None and plan.hasty for plan in by_hand)
    assert any(plan is not None and plan.late for plan in by_hand)
    both = strategy("auto and manual").plan(99)
    assert both is not None
    assert both.auto is not None
    assert both.target is not None


def test_the_martingale_doubles_up_to_a_bound() -> None:
    player = strategy("martingale")
    stakes = []
    for _ in range(8):
        plan = player.plan(10_000)
        assert plan is not None
        stakes.append(plan.stake)
        player.settled(won=False)
    assert stakes == [1, 2, 4, 8, 16, 32, 1, 2]
    player.settled(won=True)
    assert player.plan(10_000) == Plan(1, auto=200)


def test_others_do_not_double() -> None:
    player = strategy("auto 2.00")
    for _ in range(10):
        player.settled(won=False)
    plan = player.plan(10_000)
    assert plan is not None
    assert plan.stake <= STAKE_MAX


def test_the_poor_play_small_and_the_broke_not_at_all() -> None:
    player = strategy("martingale")
    for _ in range(4):
        player.settled(won=False)
    assert player.plan(15) == Plan(1, auto=200)
    assert player.plan(0) is None
    assert player.plan(5, stake_min=6) is None
    assert player.plan(None) == Plan(16, auto=200)
    assert player.plan(100, stake_max=10) == Plan(10, auto=200)
    assert strategy("martingale").plan(100, stake_min=7) == Plan(7, auto=200)
