from typing import Any

import pytest

from actors.games.crash import as_float, multiplier_at
from clients.crash_events import crash_event
from clients.crash_fairness import RoundChecker
from clients.crash_table import CrashTable
from clients.protocol import Broadcast
from tests.unit.clients.crash_house import CrashHouse

HOUSE = CrashHouse(length=20)


class Clock:
    """A client's clock, which has nothing in common with the server's."""

    def __init__(self) -> None:
        self.now_s = 77.0

    def __call__(self) -> float:
        return self.now_s


class Watched:
    def __init__(self, house: CrashHouse = HOUSE, round: int = 1) -> None:
        self.clock = Clock()
        self.table = CrashTable("main", self.clock)
        self.table.trust(RoundChecker(house.fairness(round)))

    def tell(self, kind: str, sent_ms: float | None = None, **data: Any) -> None:
        event = crash_event(Broadcast(kind, {"table": "main", **data}, None), "main")
        assert event is not None
        self.table.apply(event, sent_ms)

    def problems(self) -> list[str]:
        return [unfair.problem for unfair in self.table.unfair_rounds]


def test_a_whole_round() -> None:
    watched = Watched()
    table = watched.table
    assert (table.phase, table.round, table.multiplier()) == (None, None, 1.0)
    watched.tell("crash_state", **HOUSE.state(1))
    assert (table.phase, table.round, table.stake_min, table.stake_max) == ("betting", 1, 1, 100)
    bets = [{"user_id": "ann", "stake": 10, "auto_cash_out": None}, {"user_id": "bo", "stake": 20}]
    watched.tell("crash_bets_placed", round=1, bets=bets, players=2, staked=30)
    assert (table.players, table.staked, set(table.bets)) == (2, 30, {"ann", "bo"})
    watched.tell("crash_started", round=1, started_ms=6_000, players=2, staked=30)
    assert table.phase == "running"
    cash_outs = [{"user_id": "ann", "multiplier": 1.2, "payout": 12},
                 {"user_id": "stranger", "multiplier": 1.2, "payout": 1}]  # fmt: skip
    watched.tell("crash_cashed_out", round=1, cash_outs=cash_outs, cashed_out=2, paid=13)
    assert (table.bets["ann"].multiplier, table.bets["ann"].payout) == (1.2, 12)
    assert (table.bets["bo"].multiplier, table.cashed_out, table.paid) == (None, 2, 13)
    watched.tell("crash_crashed", **HOUSE.crashed(1))
    assert (table.phase, table.multiplier()) == ("crashed", HOUSE.crash_point(1))
    assert [finished.hash for finished in table.history] == [HOUSE.hash(1)]
    watched.tell("crash_betting_opened", round=2, betting_ends_ms=20_000, server_ms=15_000)
    assert (table.phase, table.round, table.betting_ends_ms) == ("betting", 2, 20_000)
    assert (table.players, table.staked, table.cashed_out, table.paid, table.bets) == (0, 0, 0, 0, {})
    assert (table.rounds_verified, table.unfair_rounds, table.needs_fairness) == (1, [], False)


def test_the_multiplier_between_ticks_is_computed_from_the_start() -> None:
    watched = Watched()
    watched.tell("crash_state", **HOUSE.state(1))
    watched.tell("crash_started", round=1, started_ms=1_000_000, players=0, staked=0)
    assert watched.table.multiplier() == 1.0
    watched.clock.now_s += 11.553
    assert watched.table.multiplier() == as_float(multiplier_at(11_553)) == 2.0
    # An event that travelled for less time than the start did: the client's clock was behind.
    watched.tell("crash_tick", round=1, elapsed_ms=12_000, multiplier=2.05)
    assert watched.table.multiplier() == 2.05
    # One that travelled for longer tells nothing new.
    watched.clock.now_s += 1
    watched.tell("crash_tick", round=1, elapsed_ms=12_500, multiplier=2.11)
    assert watched.table.multiplier() == as_float(multiplier_at(13_000))


def test_who_comes_in_the_middle_of_a_round_knows_the_multiplier() -> None:
    watched = Watched()
    bets = [{"user_id": "ann", "stake": 10, "auto_cash_out": None, "multiplier": 1.5, "payout": 15},
            {"user_id": "bo", "stake": 20, "auto_cash_out": 3.0, "multiplier": None}]  # fmt: skip
    running = HOUSE.state(4, "running", started_ms=50_000, bets=bets, players=2, staked=30)
    watched.tell("crash_state", sent_ms=61_553, **running)
    assert watched.table.multiplier() == 2.0
    assert (watched.table.cashed_out, watched.table.paid, watched.table.staked) == (1, 15, 30)


def test_a_new_round_measures_the_clocks_anew() -> None:
    watched = Watched()
    watched.tell("crash_betting_opened", round=1, betting_ends_ms=0, server_ms=5_000)
    assert watched.table.server_ms() == 5_000
    watched.tell("crash_betting_opened", round=2, betting_ends_ms=0, server_ms=4_000)
    assert watched.table.server_ms() == 4_000


def test_rounds_missed_while_away_are_proved_from_the_history() -> None:
    watched = Watched()
    watched.tell("crash_crashed", **HOUSE.crashed(1))
    missed = [HOUSE.finished(round) for round in (6, 5, 4, 3)]
    watched.tell("crash_state", **HOUSE.state(7, history=missed))
    assert [finished.round for finished in watched.table.history] == [6, 5, 4, 3, 1]
    assert (watched.table.rounds_verified, watched.problems()) == (5, [])
    watched.tell("crash_state", **HOUSE.state(7, history=missed))
    assert watched.table.rounds_verified == 5, "known rounds are not proved again"


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ({"crash_point": 1234.5, "multiplier": 1234.5}, "crashed at 1234.50"),
        ({"hash": HOUSE.hash(3), "previous_hash": HOUSE.hash(2)}, "not of one chain"),
        ({"hash": "ab" * 32}, "is not the hash before"),
        ({"hash": "short"}, "64 hex digits"),
        ({"previous_hash": HOUSE.hash(2)}, "is not the hash before"),
        ({"multiplier": 1.0}, "it crashed at 1.00 with a crash point of"),
        ({"multiplier": 1e6, "ended": "forced"}, "it forced at"),
    ],
)
def test_a_round_that_is_not_fair_is_recorded(lie: dict[str, Any], problem: str) -> None:
    watched = Watched()
    watched.tell("crash_crashed", **HOUSE.crashed(2, **lie))
    assert problem in watched.problems()[0]
    assert watched.table.unfair_rounds[0].round == 2


def test_a_round_told_differently_later_is_recorded() -> None:
    watched = Watched()
    watched.tell("crash_crashed", **HOUSE.crashed(2))
    watched.tell("crash_state", **HOUSE.state(3, history=[HOUSE.finished(2, crash_point=5.0)]))
    assert len(watched.problems()) == 1


def test_a_round_that_was_forced_to_end_is_fair() -> None:
    house = CrashHouse(seed=b"long rounds")
    round = next(round for round in range(1, 20) if house.crash_point(round) > 2)
    watched = Watched(house)
    watched.tell("crash_crashed", **house.crashed(round, ended="forced", multiplier=1.5))
    assert watched.problems() == []
    assert watched.table.multiplier() == 1.5


def test_rounds_of_the_next_chain_wait_for_what_is_published_of_it() -> None:
    following = CrashHouse(length=5, first_round=21, seed=b"another")
    watched = Watched(round=20)
    watched.tell("crash_crashed", **HOUSE.crashed(20))
    assert not watched.table.needs_fairness
    watched.tell("crash_crashed", **following.crashed(21))
    watched.tell("crash_crashed", **following.crashed(22))
    assert watched.table.needs_fairness
    watched.table.trust(RoundChecker(following.fairness(22)))
    assert (watched.table.rounds_verified, watched.problems()) == (3, [])
    assert not watched.table.needs_fairness
    assert watched.table.fairness == following.fairness(22)


def test_rounds_that_no_published_chain_has_are_unfair() -> None:
    watched = Watched(round=20)
    watched.tell("crash_crashed", **CrashHouse(5, 21, b"x").crashed(21))
    watched.table.give_up_unverified()
    assert watched.problems() == ["no chain that was published has a hash for it"]
    assert not watched.table.needs_fairness


def test_the_history_is_bounded() -> None:
    house = CrashHouse(length=80)
    watched = Watched(house)
    for round in range(1, 70):
        watched.tell("crash_crashed", **house.crashed(round))
    assert [finished.round for finished in watched.table.history] == list(range(69, 19, -1))
    assert watched.table.rounds_verified == 69
