"""One bot's own books: its bets, how each was settled, and the gold that follows from them.

Owns the checks of bets and gold; pure. Every balance and payout that the house tells is compared
with what this arithmetic says. Multipliers are hundredths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from benchmarks.crash.scheme import OffTheGrid, hundredths, payout
from benchmarks.crash.violations import Violations
from benchmarks.crash.witness import Ended


class Settled(msgspec.Struct):
    """``crash_bet_settled``, or the result of a cash-out. No multiplier: lost."""

    round: int
    stake: int
    payout: int
    gold_balance: int
    multiplier: float | None = None


class Taken(msgspec.Struct):
    """The result of ``place_crash_bet``."""

    round: int
    stake: int
    gold_balance: int
    auto_cash_out: float | None = None


class BetRow(msgspec.Struct):
    """A bet in the answer to ``get_crash_bets``."""

    stake: int
    status: str
    round: int | None = None
    multiplier: float | None = None
    payout: int = 0


class Bet:
    """``multiplier`` and ``payout`` are None while it is open; a lost one has the payout 0."""

    __slots__ = ("auto", "by_event", "by_result", "cash_out_asked", "is_checked", "multiplier", "payout",
                 "round", "stake")  # fmt: skip

    def __init__(self, number: int, stake: int, auto: int | None) -> None:
        self.round = number
        self.stake = stake
        self.auto = auto
        self.multiplier: int | None = None
        self.payout: int | None = None
        self.cash_out_asked = False
        self.by_event = False
        self.by_result = False
        self.is_checked = False
        """Against the end of its round."""

    @property
    def is_open(self) -> bool:
        return self.payout is None


class Mark(NamedTuple):
    """Where the books stood when a command was sent."""

    gold: int | None
    changes: int


class Account:
    """Begins with the balance that the first snapshot told."""

    def __init__(self, user_id: str, violations: Violations) -> None:
        self.gold: int | None = None
        """By its own arithmetic, with all that it was told."""
        self.bets: dict[int, Bet] = {}
        """By round: the open ones, and the settled ones until ``forget_before``."""
        self.bets_placed = 0
        self.bets_settled = 0
        self.stakes_in_flight: dict[str, int] = {}
        """By command id: stakes that may be taken or not, or given back."""
        self.cash_outs_in_flight: set[str] = set()
        self._marks: dict[str, Mark] = {}
        self._user_id = user_id
        self._violations = violations
        self._changes: list[int] = []
        self._early: dict[int, Settled] = {}
        """Settlements whose bet has not been acknowledged yet."""

    @property
    def open_bets(self) -> int:
        return sum(bet.is_open for bet in self.bets.values())

    def opened(self, gold: int) -> None:
        """The first snapshot. Later ones change nothing: the books must agree with them."""
        if self.gold is None:
            self.gold = gold

    # Bets

    def placing(self, command_id: str, stake: int) -> None:
        self.stakes_in_flight[command_id] = stake
        self._marks[command_id] = self._mark()

    def placed(self, command_id: str, taken: Taken, stake: int, auto: int | None) -> Bet:
        """The house has taken a bet, for the round it names."""
        number = taken.round
        told_auto = self._hundredths(taken.auto_cash_out, f"round {number}")
        if taken.stake != stake or told_auto != auto:
            self._note(
                "another bet than asked for",
                f"round {number}: {stake} at {auto} became {taken.stake} at {told_auto}",
            )
        bet = Bet(number, taken.stake, auto)
        if number in self.bets:
            self._note("two bets in a round", f"round {number}")
        else:
            self.bets[number] = bet
        self.bets_placed += 1
        early = self._early.pop(number, None)
        possible = self._possible(self._marks.get(command_id), -taken.stake)
        if early is not None:
            possible |= {gold + early.payout for gold in possible}
        self._check_gold(taken.gold_balance, possible, f"bet of round {number}")
        self.not_placed(command_id)
        self._change(-taken.stake)
        if early is not None:
            self.settled(early, gold_is_checked=True)
        return bet

    def not_placed(self, command_id: str) -> None:
        """The house refused: nothing was taken, or it was given back."""
        self.stakes_in_flight.pop(command_id, None)
        self._marks.pop(command_id, None)

    def cashing_out(self, command_id: str, bet: Bet) -> None:
        bet.cash_out_asked = True
        self.cash_outs_in_flight.add(command_id)
        self._marks[command_id] = self._mark()

    def cashed_out(self, command_id: str, settled: Settled) -> Bet | None:
        """A cash-out by hand was carried out. Returns the bet if that settled it."""
        mark = self._marks.get(command_id)
        self.not_cashed_out(command_id)
        where = f"cash-out of round {settled.round}"
        bet = self.bets.get(settled.round)
        if bet is None:
            self._note("settled without a bet", where)
            return None
        if bet.by_result:
            self._note("settled twice", f"{where}: two commands succeeded")
        bet.by_result = True
        was_open = bet.is_open
        change = self._settle(bet, settled, where)
        self._check_gold(settled.gold_balance, self._possible(mark, change), where)
        self._change(change)
        return bet if was_open else None

    def not_cashed_out(self, command_id: str) -> None:
        self.cash_outs_in_flight.discard(command_id)
        self._marks.pop(command_id, None)

    def settled(self, settled: Settled, gold_is_checked: bool = False) -> Bet | None:
        """``crash_bet_settled``. Returns the bet if that settled it."""
        where = f"settlement of round {settled.round}"
        bet = self.bets.get(settled.round)
        if bet is None:
            if self.stakes_in_flight and settled.round not in self._early:
                # The answer to the bet itself is late; it was sent again, say.
                self._early[settled.round] = settled
            else:
                self._note("settled without a bet", where)
            return None
        if bet.by_event:
            self._note("settled twice", f"{where}: told twice")
        bet.by_event = True
        was_open = bet.is_open
        self._change(self._settle(bet, settled, where))
        if not gold_is_checked:
            self._check_event(settled.gold_balance, where)
        return bet if was_open else None

    def compare(self, rows: Iterable[BetRow]) -> list[Bet]:
        """The settled rows of ``get_crash_bets``: settles what no event told, returns those bets."""
        learned = []
        for row in rows:
            bet = self.bets.get(row.round) if row.round is not None else None
            if bet is None:
                continue
            where = f"row of round {bet.round}"
            told = Settled(bet.round, row.stake, row.payout, 0, row.multiplier)
            was_open = bet.is_open
            self._change(self._settle(bet, told, where))
            if was_open:
                learned.append(bet)
        return learned

    # The end of rounds and of the run

    def check_end(self, bet: Bet, ended: Ended) -> None:
        """A settled bet against the end of its round."""
        where = f"round {ended.round}, ended at {ended.reached}"
        if bet.multiplier is None:
            if ended.forced:
                self._note("lost though the house ended the round", where)
            elif bet.auto is not None and bet.auto <= ended.reached:
                self._note("lost below the crash point", f"{where}: auto cash-out at {bet.auto}")
            return
        if bet.multiplier > ended.reached:
            self._note("won above the crash point", f"{where}: paid at {bet.multiplier}")
        if bet.auto is not None and bet.multiplier > bet.auto:
            self._note("paid above its own target", f"{where}: {bet.multiplier} > {bet.auto}")
        by_house = ended.forced and bet.multiplier == ended.reached
        if bet.multiplier != bet.auto and not bet.cash_out_asked and not by_house:
            self._note("cashed out unasked", f"{where}: at {bet.multiplier}, target {bet.auto}")

    def forget_before(self, number: int) -> None:
        """Drop settled bets of older rounds."""
        for old in [n for n, bet in self.bets.items() if n < number and not bet.is_open]:
            del self.bets[old]

    def close(self, told_gold: int | None, ended: Mapping[int, Ended]) -> int:
        """The run is over and nothing is in flight. Returns the bets that are open because their
        rounds still are."""
        waiting = 0
        for bet in self.bets.values():
            if not bet.is_open:
                continue
            if bet.round in ended:
                self._note("never settled", f"bet of round {bet.round}")
            else:
                waiting += 1
        for number in self._early:
            self._note("settled without a bet", f"settlement of round {number}")
        in_flight = self.stakes_in_flight or self.cash_outs_in_flight
        if told_gold is not None and self.gold is not None and not in_flight and told_gold != self.gold:
            self._note("gold does not follow", f"at the end: told {told_gold}, own books {self.gold}")
        return waiting

    # Arithmetic

    def _settle(self, bet: Bet, told: Settled, where: str) -> int:
        """The change of gold that the books still lack: 0 when it had been told before."""
        multiplier = self._hundredths(told.multiplier, where)
        if told.stake != bet.stake:
            self._note("another bet than placed", f"{where}: {told.stake} instead of {bet.stake}")
        expected = payout(bet.stake, multiplier) if multiplier is not None else 0
        if told.payout != expected:
            self._note("wrong payout", f"{where}: {told.payout} for {bet.stake} at {multiplier}")
        if not bet.is_open:
            if (bet.multiplier, bet.payout) != (multiplier, told.payout):
                self._note(
                    "settled twice",
                    f"{where}: {bet.payout} at {bet.multiplier}, then {told.payout} at {multiplier}",
                )
            return 0
        bet.multiplier, bet.payout = multiplier, told.payout
        self.bets_settled += 1
        return told.payout

    def _mark(self) -> Mark:
        return Mark(self.gold, len(self._changes))

    def _change(self, gold: int) -> None:
        if not gold:
            return
        if self._marks:
            self._changes.append(gold)
        else:
            self._changes.clear()
        if self.gold is not None:
            self.gold += gold

    def _possible(self, mark: Mark | None, own: int) -> set[int]:
        """The balances that a result may tell which changed the gold by ``own``: that of its own moment,
        which may lie before events that overtook it. Empty when the balance before is not known."""
        if mark is None or mark.gold is None:
            return set()
        gold = mark.gold + own
        possible = {gold}
        for change in self._changes[mark.changes :]:
            gold += change
            possible.add(gold)
        return possible

    def _check_gold(self, told: int, possible: set[int], where: str) -> None:
        if possible and told not in possible:
            self._note("gold does not follow", f"{where}: told {told}, own books {sorted(possible)}")

    def _check_event(self, told: int, where: str) -> None:
        """An event tells the balance of its turn; commands in flight may have moved it already."""
        if self.gold is None or self.cash_outs_in_flight:
            return
        possible = {self.gold}
        for stake in self.stakes_in_flight.values():
            possible |= {gold - stake for gold in possible}
        self._check_gold(told, possible, where)

    def _hundredths(self, multiplier: float | None, where: str) -> int | None:
        if multiplier is None:
            return None
        try:
            return hundredths(multiplier)
        except OffTheGrid as error:
            self._note("off the grid", f"{where}: {error}")
            return round(multiplier * 100)

    def _note(self, kind: str, what: str) -> None:
        self._violations.note(kind, f"{self._user_id}: {what}")
