from collections import Counter
from random import Random

from benchmarks.journey import Journey, Step


def journey(neighbours: list[str], disabled: set[str] | None = None, seed: int = 1) -> Journey:
    return Journey("me", Random(seed), neighbours, disabled if disabled is not None else set())


def test_the_streak_first_then_mostly_spins() -> None:
    player = journey(["me", "you"])
    player.gold = 10_000
    assert player.next_step(0) == Step("claim_streak", {})
    steps = [player.next_step(0) for _ in range(20_000)]
    counts = Counter(step.name for step in steps if step is not None)
    assert counts["spin_slots"] > 19_000
    assert counts.keys() == {
        "spin_slots",
        "set_client_seed",
        "rotate_server_seed",
        "send_gift",
        "get_profile",
    }
    gifts = [step for step in steps if step is not None and step.name == "send_gift"]
    assert all(gift.data == {"to_user": "you", "amount": 1} for gift in gifts)


def test_the_same_seed_gives_the_same_journey() -> None:
    first, second = journey(["a"], seed=5), journey(["a"], seed=5)
    assert [first.next_step(0) for _ in range(2000)] == [second.next_step(0) for _ in range(2000)]


def test_what_the_server_does_not_know_is_left_out_by_everybody() -> None:
    disabled: set[str] = set()
    one, other = journey(["you"], disabled), journey(["you"], disabled, seed=2)
    assert one.disable("send_gift")
    assert not one.disable("spin_slots")
    names = {step.name for step in (other.next_step(0) for _ in range(5000)) if step is not None}
    assert "send_gift" not in names
    assert "get_profile" in names


def test_the_broke_stop_and_count_what_is_in_flight() -> None:
    player = Journey("me", Random(0), [], set(), stake=10)
    player.next_step(0)
    player.gold = 25
    assert player.next_step(0) is not None
    assert player.next_step(1) is not None
    plays = [player.next_step(2) for _ in range(100)]
    assert any(step is None for step in plays)
    assert all(step is None or step.name != "spin_slots" for step in plays)
