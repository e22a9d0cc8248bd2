"""Every way in which a house can get a bet or a balance wrong is found, and only those."""

from __future__ import annotations

import pytest

from benchmarks.crash.account import Account, BetRow, Settled, Taken
from benchmarks.crash.violations import Violations
from benchmarks.crash.witness import Ended


class Books:
    """An account of 100 gold, and what it complained about."""

    def __init__(self) -> None:
        self.violations = Violations()
        self.account = Account("ann", self.violations)
        self.account.opened(100)

    @property
    def kinds(self) -> set[str]:
        return set(self.violations.kinds)

    def bet(self, number: int = 1, stake: int = 10, auto: int | None = None, gold: int = 90) -> None:
        self.account.placing(f"p{number}", stake)
        told = auto / 100 if auto is not None else None
        self.account.placed(f"p{number}", Taken(number, stake, gold, told), stake, auto)

    def cash_out(self, settled: Settled) -> None:
        self.account.cashing_out("c", self.account.bets[settled.round])
        self.account.cashed_out("c", settled)


def lost(number: int = 1, gold: int = 90) -> Settled:
    return Settled(number, 10, 0, gold)


def won(multiplier: int = 150, payout: int = 15, gold: int = 105, number: int = 1) -> Settled:
    return Settled(number, 10, payout, gold, multiplier / 100)


def ended(reached: int = 200, forced: bool = False, number: int = 1) -> Ended:
    return Ended(number, "ab", 200, reached, forced)


@pytest.fixture
def books() -> Books:
    return Books()


def test_lost_won_by_itself_and_cashed_out(books: Books) -> None:
    books.bet()
    assert books.account.open_bets == 1
    bet = books.account.settled(lost())
    assert bet is not None
    books.account.check_end(bet, ended())
    books.bet(2, auto=150, gold=80)
    bet = books.account.settled(won(gold=95, number=2))
    assert bet is not None
    books.account.check_end(bet, ended(number=2))
    books.bet(3, gold=85)
    books.cash_out(won(133, 13, 98, number=3))
    books.account.check_end(books.account.bets[3], ended(number=3))
    assert books.account.close(98, {}) == 0
    assert books.account.gold == 98
    assert (books.account.bets_placed, books.account.bets_settled) == (3, 3)
    assert not books.kinds


def test_a_cash_out_may_be_told_by_an_event_too(books: Books) -> None:
    books.bet()
    books.account.cashing_out("c", books.account.bets[1])
    assert books.account.settled(won()) is not None
    assert books.account.cashed_out("c", won()) is None
    assert books.account.gold == 105
    assert books.account.bets_settled == 1
    assert not books.kinds


@pytest.mark.parametrize("gold", [90, 105])
def test_a_settlement_may_overtake_the_answer_to_its_bet(books: Books, gold: int) -> None:
    books.account.placing("p1", 10)
    assert books.account.settled(won()) is None
    bet = books.account.placed("p1", Taken(1, 10, gold), 10, None)
    assert not bet.is_open
    assert books.account.gold == 105
    assert not books.kinds


def test_the_answer_to_a_repeat_tells_an_old_balance(books: Books) -> None:
    books.bet()
    books.account.placing("p2", 10)
    books.account.settled(won(gold=95))
    books.account.placed("p2", Taken(2, 10, 80), 10, None)
    assert not books.kinds
    assert books.account.gold == 95


def test_the_settlement_of_one_round_while_the_next_bet_is_in_flight(books: Books) -> None:
    books.bet()
    books.account.placing("p2", 10)
    books.account.settled(won(gold=95))
    assert not books.kinds
    books.account.not_placed("p2")
    assert books.account.close(105, {}) == 0
    assert not books.kinds


@pytest.mark.parametrize(
    "settled",
    [won(payout=16, gold=106), won(payout=0, gold=90), Settled(1, 10, 5, 95), won(payout=14, gold=104)],
)
def test_wrong_payouts(books: Books, settled: Settled) -> None:
    books.bet()
    books.account.settled(settled)
    assert books.kinds == {"wrong payout"}


def test_told_twice(books: Books) -> None:
    books.bet()
    books.account.settled(lost())
    books.account.settled(lost())
    assert books.kinds == {"settled twice"}


def test_two_different_settlements(books: Books) -> None:
    books.bet()
    books.cash_out(won())
    books.account.settled(lost(gold=105))
    assert books.kinds == {"settled twice"}


def test_two_cash_outs_of_one_bet(books: Books) -> None:
    books.bet()
    books.cash_out(won())
    books.cash_out(won())
    assert books.kinds == {"settled twice"}


def test_settled_without_a_bet(books: Books) -> None:
    books.account.settled(won())
    books.account.cashed_out("c", won(number=7))
    assert books.violations.kinds == {"settled without a bet": 2}


def test_settled_though_it_was_refused(books: Books) -> None:
    books.account.placing("p1", 10)
    books.account.settled(lost())
    books.account.not_placed("p1")
    books.account.close(None, {})
    assert books.kinds == {"settled without a bet"}


def test_another_bet_than_asked_for(books: Books) -> None:
    books.account.placing("p1", 10)
    books.account.placed("p1", Taken(1, 10, 90, 1.5), 10, 200)
    assert books.kinds == {"another bet than asked for"}


def test_another_bet_than_placed(books: Books) -> None:
    books.bet()
    books.account.settled(Settled(1, 11, 0, 90))
    assert books.kinds == {"another bet than placed"}


def test_two_bets_in_a_round(books: Books) -> None:
    books.bet()
    books.bet(gold=80)
    assert books.kinds == {"two bets in a round"}


def test_a_multiplier_off_the_grid(books: Books) -> None:
    books.bet()
    books.account.settled(Settled(1, 10, 15, 105, 1.501))
    assert books.kinds == {"off the grid"}


@pytest.mark.parametrize("gold", [89, 91, 100])
def test_gold_of_a_bet(books: Books, gold: int) -> None:
    books.bet(gold=gold)
    assert books.kinds == {"gold does not follow"}


@pytest.mark.parametrize("gold", [90, 104, 120])
def test_gold_of_a_settlement(books: Books, gold: int) -> None:
    books.bet()
    books.account.settled(won(gold=gold))
    assert books.kinds == {"gold does not follow"}


@pytest.mark.parametrize("gold", [90, 104, 120])
def test_gold_of_a_cash_out(books: Books, gold: int) -> None:
    books.bet()
    books.cash_out(won(gold=gold))
    assert books.kinds == {"gold does not follow"}


def test_gold_at_the_end(books: Books) -> None:
    books.account.placing("p1", 10)
    books.account.not_placed("p1")
    books.account.close(90, {})
    assert books.kinds == {"gold does not follow"}, "a refused stake was not given back"


@pytest.mark.parametrize(
    ("auto", "settled", "end", "kind"),
    [
        (150, lost(), ended(), "lost below the crash point"),
        (200, lost(), ended(), "lost below the crash point"),
        (None, lost(), ended(180, forced=True), "lost though the house ended the round"),
        (300, won(250, 25, 115), ended(), "won above the crash point"),
        (120, won(), ended(), "paid above its own target"),
        (None, won(), ended(), "cashed out unasked"),
        (190, won(), ended(), "cashed out unasked"),
    ],
)
def test_against_the_end_of_the_round(
    books: Books, auto: int | None, settled: Settled, end: Ended, kind: str
) -> None:
    books.bet(auto=auto)
    bet = books.account.settled(settled)
    assert bet is not None
    books.account.check_end(bet, end)
    assert kind in books.kinds


@pytest.mark.parametrize(
    ("auto", "settled", "end"),
    [
        (201, lost(), ended()),
        (200, won(200, 20, 110), ended()),
        (None, lost(), ended()),
        (None, won(180, 18, 108), ended(180, forced=True)),
        (500, won(180, 18, 108), ended(180, forced=True)),
    ],
)
def test_fair_ends(books: Books, auto: int | None, settled: Settled, end: Ended) -> None:
    books.bet(auto=auto)
    bet = books.account.settled(settled)
    assert bet is not None
    books.account.check_end(bet, end)
    assert not books.kinds


def test_never_settled_and_not_yet_settled(books: Books) -> None:
    books.bet(1)
    books.bet(2, gold=80)
    assert books.account.close(80, {1: ended()}) == 1
    assert books.violations.kinds == {"never settled": 1}


def test_rows_settle_what_no_event_told(books: Books) -> None:
    books.bet(1)
    books.bet(2, gold=80)
    books.account.settled(lost(2, gold=80))
    rows = [
        BetRow(10, "crashed", 2),
        BetRow(10, "cashed_out", 1, 1.5, 15),
        BetRow(10, "crashed", 99),
        BetRow(10, "pending"),
    ]
    assert [bet.round for bet in books.account.compare(rows)] == [1]
    assert books.account.gold == 95
    assert not books.kinds
    books.account.compare([BetRow(10, "cashed_out", 2, 1.5, 15)])
    assert books.kinds == {"settled twice"}


def test_old_bets_are_forgotten(books: Books) -> None:
    books.bet(1)
    books.bet(2, gold=80)
    books.account.settled(lost(1, gold=80))
    books.account.forget_before(9)
    assert list(books.account.bets) == [2], "an open one never"
