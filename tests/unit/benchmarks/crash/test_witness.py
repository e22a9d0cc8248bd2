"""Every way in which a table can contradict itself or the scheme is found, and only those."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.crash.events import (
    BettingOpened,
    CashedOut,
    CashOut,
    Crashed,
    PlayedRound,
    Started,
    State,
    Tick,
)
from benchmarks.crash.scheme import crash_point
from benchmarks.crash.violations import Violations
from benchmarks.crash.witness import Witness
from tests.unit.benchmarks.fake_table import SALT, chain

CHAIN = chain(4, 150, 500)
POINTS = [0, *(crash_point(link.hex(), SALT) for link in CHAIN[1:])]


class Sight:
    def __init__(self, salt: str | None = SALT) -> None:
        self.violations = Violations()
        self.witness = Witness("ann", self.violations, salt)

    @property
    def kinds(self) -> set[str]:
        return set(self.violations.kinds)

    def round(self, number: int, **changes: object) -> None:
        """All of a round but what ``changes`` says of its end."""
        self.witness.betting_opened(BettingOpened(number, 0))
        self.witness.started(Started(number, 1000 * number))
        self.witness.tick(Tick(number, 0, 1.0))
        self.witness.tick(Tick(number, 6_000, 1.43))
        self.witness.cashed_out(CashedOut(number, [CashOut(1.2), CashOut(1.44)]))
        self.witness.crashed(crashed(number, **changes))


def crashed(number: int, **changes: object) -> Crashed:
    fields: dict[str, object] = {
        "round": number,
        "crash_point": POINTS[number] / 100,
        "hash": CHAIN[number].hex(),
        "previous_hash": CHAIN[number - 1].hex(),
        "multiplier": POINTS[number] / 100,
    }
    return Crashed(**(fields | changes))  # type: ignore[arg-type]


def played(number: int) -> PlayedRound:
    return PlayedRound(number, CHAIN[number].hex(), POINTS[number] / 100)


@pytest.fixture
def sight() -> Sight:
    return Sight()


def test_fair_rounds(sight: Sight) -> None:
    sight.witness.state(State(0, "pause"))
    for number in (1, 2, 3):
        sight.round(number)
    assert not sight.kinds
    assert sight.witness.rounds_seen == 3
    assert sight.witness.ended[2].reached == POINTS[2]


def test_a_reconnect_in_the_middle(sight: Sight) -> None:
    sight.round(1)
    sight.witness.betting_opened(BettingOpened(2, 0))
    sight.witness.state(State(3, "running", started_ms=5, history=[played(2), played(1)]))
    sight.witness.state(State(3, "running", started_ms=5, history=[played(2), played(1)]))
    sight.witness.tick(Tick(3, 0, 1.0))
    sight.witness.crashed(crashed(3))
    sight.witness.betting_opened(BettingOpened(4, 0))
    assert not sight.kinds
    assert sight.witness.rounds_seen == 2


def test_a_round_that_the_house_ended(sight: Sight) -> None:
    sight.round(1, ended="forced", multiplier=1.46)
    assert not sight.kinds
    assert sight.witness.ended[1].reached == 146


def test_without_a_salt_the_rest_is_checked() -> None:
    sight = Sight(salt=None)
    sight.round(1, crash_point=9.0, multiplier=9.0)
    assert not sight.kinds
    sight.round(2, previous_hash="00" * 32)
    assert sight.kinds == {"round does not verify", "chain broken"}


def test_cash_outs_told_after_the_end(sight: Sight) -> None:
    sight.round(1)
    sight.witness.cashed_out(CashedOut(1, [CashOut(POINTS[1] / 100)]))
    assert not sight.kinds
    sight.witness.cashed_out(CashedOut(1, [CashOut(POINTS[1] / 100 + 0.01)]))
    assert sight.kinds == {"contradicted by a cash-out"}


def tick_above(sight: Sight) -> None:
    sight.witness.tick(Tick(1, 40_000, 11.02))
    sight.witness.crashed(crashed(1))


def own_cash_out_above(sight: Sight) -> None:
    sight.witness.shown(1, POINTS[1] + 1)
    sight.witness.crashed(crashed(1))


def another_crash_point(sight: Sight) -> None:
    sight.round(1, crash_point=9.99, multiplier=9.99)


def another_salt(sight: Sight) -> None:
    other = Sight("00" * 32)
    other.round(1)
    sight.violations.kinds.update(other.violations.kinds)


def another_link(sight: Sight) -> None:
    sight.round(1, previous_hash=CHAIN[3].hex())


def not_hexadecimal(sight: Sight) -> None:
    sight.round(1, hash="nothing")


def off_the_grid(sight: Sight) -> None:
    sight.round(1, crash_point=1.505)


def early_end(sight: Sight) -> None:
    sight.round(1, multiplier=1.45)


def end_above(sight: Sight) -> None:
    sight.round(1, ended="forced", multiplier=POINTS[1] / 100 + 0.01)


def another_chain(sight: Sight) -> None:
    sight.round(1)
    sight.witness.betting_opened(BettingOpened(2, 0))
    sight.witness.crashed(
        Crashed(2, POINTS[3] / 100, CHAIN[3].hex(), CHAIN[2].hex(), multiplier=POINTS[3] / 100)
    )


def another_end(sight: Sight) -> None:
    sight.round(1)
    sight.witness.crashed(crashed(1, ended="forced", multiplier=1.46))


def another_history(sight: Sight) -> None:
    sight.round(1)
    sight.witness.state(State(2, "betting", history=[PlayedRound(1, CHAIN[2].hex(), POINTS[2] / 100)]))


def tick_after(sight: Sight) -> None:
    sight.round(1)
    sight.witness.tick(Tick(1, 0, 1.0))


def start_after(sight: Sight) -> None:
    sight.round(1)
    sight.witness.state(State(1, "running", started_ms=1000))


def started_twice(sight: Sight) -> None:
    sight.witness.started(Started(1, 1000))
    sight.witness.state(State(1, "running", started_ms=1001))


def wrong_curve(sight: Sight) -> None:
    sight.witness.tick(Tick(1, 6_000, 1.45))


def end_left_out(sight: Sight) -> None:
    sight.witness.betting_opened(BettingOpened(1, 0))
    sight.witness.betting_opened(BettingOpened(2, 0))


def round_left_out(sight: Sight) -> None:
    sight.round(1)
    sight.witness.betting_opened(BettingOpened(3, 0))


@pytest.mark.parametrize(
    ("cheat", "kind"),
    [
        (tick_above, "contradicted by its end"),
        (own_cash_out_above, "contradicted by its end"),
        (another_crash_point, "round does not verify"),
        (another_salt, "round does not verify"),
        (another_link, "round does not verify"),
        (not_hexadecimal, "round does not verify"),
        (off_the_grid, "round does not verify"),
        (early_end, "round does not verify"),
        (end_above, "round does not verify"),
        (another_chain, "chain broken"),
        (another_end, "another end of the same round"),
        (another_history, "another end of the same round"),
        (tick_after, "goes on after its end"),
        (start_after, "goes on after its end"),
        (started_twice, "started anew"),
        (wrong_curve, "off the curve"),
        (end_left_out, "end of a round not told"),
        (round_left_out, "rounds not in order"),
    ],
)
def test_contradictions(sight: Sight, cheat: Callable[[Sight], None], kind: str) -> None:
    cheat(sight)
    assert kind in sight.kinds


def test_memory_is_bounded(sight: Sight) -> None:
    for number in range(1, 200):
        sight.witness.started(Started(number, number))
        sight.witness.tick(Tick(number, 0, 1.0))
        sight.witness.crashed(Crashed(number, 2.0, "ab", "cd"))
    assert len(sight.witness.ended) == 64
    assert max(sight.witness.ended) == 199
