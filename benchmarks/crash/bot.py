"""A player of Crash: bets by its strategy, cashes out in time, and keeps its own books.

Owns when a command is given in a round. What is chosen is ``strategy``'s; whether what came of it is
right, ``account``'s and ``witness``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import monotonic_ns, time
from typing import Any

import msgspec

from benchmarks.command_log import CommandLog
from benchmarks.crash.account import Account, Bet, BetRow, Settled, Taken
from benchmarks.crash.events import BettingOpened, CashedOut, Crashed, Feed, Started, State, TableEvent, Tick
from benchmarks.crash.listener import Listener
from benchmarks.crash.strategy import Plan, Strategy
from benchmarks.crash.violations import Violations
from benchmarks.crash.witness import Witness
from benchmarks.lean_connection import EventCounter, Header
from benchmarks.measurements import Measurements, Timing
from benchmarks.player import ErrorData, InFlight, gold_of
from clients.token_keeper import TokenKeeper

REFUSALS = frozenset(
    {
        "betting_closed",
        "cash_out_too_early",
        "insufficient_funds",
        "no_open_bet",
        "round_not_running",
        "round_over",
        "table_full",
    }
)
"""Codes with which the game itself says no, most of them lost races. They are counted, and do not
fail a run."""

_PLACE, _CASH_OUT, _BETS = "place_crash_bet", "cash_out_crash", "get_crash_bets"
_BETTING_SHARE = 0.8
"""Bets are spread over this part of the betting phase."""
_COMPARED_ONE_IN = 25
"""After so many settlements a bot asks for its bets, and compares."""
_ROUNDS_KEPT = 8


class _Bets(msgspec.Struct):
    """The answer to ``get_crash_bets``; open bets are the session's own affair."""

    settled: list[BetRow] = []


_decode_taken = msgspec.msgpack.Decoder(Taken).decode
_decode_settled = msgspec.msgpack.Decoder(Settled).decode
_decode_bets = msgspec.msgpack.Decoder(_Bets).decode


class Game:
    """What the bots of a process share: the figures, and which rounds they play."""

    def __init__(self, table: str, rounds: int | None = None) -> None:
        self.table = table
        self.salt: str | None = None
        self.feed = Feed()
        self.violations = Violations()
        self.place = Timing()
        self.cash_out = Timing()
        self.bets = 0
        self.cash_outs = 0
        self._rounds = rounds
        self._first: int | None = None

    def plays(self, number: int) -> bool:
        """Whether bets are made in this round: in so many from the first one on."""
        if self._first is None:
            self._first = number
        return self._rounds is None or number < self._first + self._rounds

    @property
    def rounds_ended(self) -> list[int]:
        """Of the rounds to play, those that have ended."""
        return sorted(
            number
            for number in self.feed.rounds_ended
            if self._first is not None
            and number >= self._first
            and (self._rounds is None or number < self._first + self._rounds)
        )

    @property
    def is_over(self) -> bool:
        """Whether the last of the rounds to play has ended."""
        if self._rounds is None or self._first is None:
            return False
        return max(self.feed.rounds_ended, default=0) >= self._first + self._rounds - 1


class CrashBot(Listener):
    """``run`` ends when the player is refused, or was told to leave."""

    def __init__(
        self,
        sync_url: str,
        tokens: TokenKeeper,
        strategy: Strategy,
        random: Random,
        game: Game,
        id_prefix: str,
        measurements: Measurements,
        counter: EventCounter,
        log: CommandLog | None = None,
    ) -> None:
        super().__init__(sync_url, tokens, game.table, game.feed, id_prefix, measurements, counter, log)
        self.account = Account(self.user_id, game.violations)
        self.witness = Witness(self.user_id, game.violations, game.salt)
        self._strategy = strategy
        self._random = random
        self._game = game
        self._plans: dict[str, Plan] = {}
        """Of the bets in flight, by command id."""
        self._plan: Plan | None = None
        self._bet: Bet | None = None
        """The last bet that was taken."""
        self._target: int | None = None
        """The multiplier at which it is to be cashed out by hand."""
        self._betting: int | None = None
        """The round that takes bets now."""
        self._told_gold: int | None = None
        """By the last event that told a balance."""
        self._stake_min = 1
        self._stake_max: int | None = None
        self._tell: dict[type[Any], Callable[[Any], None]] = {
            State: self._on_state,
            BettingOpened: self._on_betting_opened,
            Started: self._on_started,
            CashedOut: self.witness.cashed_out,
            Crashed: self._on_crashed,
        }
        self._listening = True

    @property
    def open_bets(self) -> int:
        return self.account.open_bets

    def told(self, event: TableEvent) -> None:
        if isinstance(event, Tick):
            self.witness.tick(event)
            if self._target is not None and event.hundredths >= self._target:
                self._cash_out()
            return
        tell = self._tell.get(type(event))
        if tell is not None:
            tell(event)

    def happened(self, header: Header) -> None:
        if header.type == "profile_update":
            changed = gold_of(header.data)
            self._told_gold = changed if changed is not None else self._told_gold
        if header.type != "crash_bet_settled":
            return
        bet = self.account.settled(_decode_settled(header.data))
        if bet is not None:
            self._after_settlement(bet)

    def restarted(self) -> None:
        gold = self._told_gold = self.gold
        if gold is not None:
            self.account.opened(gold)
        if self.account.open_bets:
            # Settlements may be among the events that the snapshot replaced.
            self._give(_BETS, {})

    def close_books(self) -> int:
        """After the run: the last checks. Returns the bets that are open with their rounds."""
        return self.account.close(self._told_gold, self.witness.ended)

    # The table

    def _on_state(self, event: State) -> None:
        self.witness.state(event)
        self._stake_min, self._stake_max = event.stake_min, event.stake_max
        self._betting = None
        for bet in list(self.account.bets.values()):
            self._check_end(bet)
        if event.phase == "betting" and event.betting_ends_ms is not None:
            self._consider(event.round, event.betting_ends_ms)

    def _on_betting_opened(self, event: BettingOpened) -> None:
        self.witness.betting_opened(event)
        self._consider(event.round, event.betting_ends_ms)

    def _on_started(self, event: Started) -> None:
        self.witness.started(event)
        self._betting = None
        bet, plan = self._bet, self._plan
        if bet is None or plan is None or bet.round != event.round or not bet.is_open:
            return
        if plan.hasty:
            self._cash_out()
        if plan.after_ms is not None:
            self._loop.call_later(plan.after_ms / 1000, self._cash_out_bet, bet)

    def _on_crashed(self, event: Crashed) -> None:
        self._betting = None
        self._target = None
        ended = self.witness.crashed(event)
        if ended is None:
            return
        for played in list(self.account.bets.values()):
            self._check_end(played)
        plan, bet = self._plan, self._bet
        if bet is not None and plan is not None and plan.late and bet.round == event.round and bet.is_open:
            self._cash_out()
        self.account.forget_before(event.round - _ROUNDS_KEPT)

    # Betting

    def _consider(self, number: int, betting_ends_ms: int) -> None:
        self._betting = number
        if not self._playing or not self._game.plays(number):
            return
        plan = self._strategy.plan(self.account.gold, self._stake_min, self._stake_max)
        if plan is None:
            return
        window_s = max(0.0, betting_ends_ms / 1000 - time())
        self._loop.call_later(self._random.uniform(0, _BETTING_SHARE) * window_s, self._place, number, plan)

    def _place(self, number: int, plan: Plan) -> None:
        if self.account.gold is None:
            return  # its first snapshot is on its way
        # With one bet in flight there is no telling which round that one will be of.
        if not self._playing or self._betting != number or self._plans or number in self.account.bets:
            return
        auto = plan.auto / 100 if plan.auto is not None else None
        data = {"stake": plan.stake, "table": self._game.table, "auto_cash_out": auto}
        command_id = self._give(_PLACE, data)
        self._plans[command_id] = plan
        self.account.placing(command_id, plan.stake)

    def _cash_out(self) -> None:
        bet = self._bet
        if bet is None or not bet.is_open or self.account.cash_outs_in_flight:
            return
        self._target = None
        self.account.cashing_out(self._give(_CASH_OUT, {"table": self._game.table}), bet)

    def _cash_out_bet(self, bet: Bet) -> None:
        if self._bet is bet:
            self._cash_out()

    # Answers

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        took_us = (monotonic_ns() - waiting.first_sent_ns) // 1000
        if waiting.name == _PLACE:
            self._game.place.record(took_us)
            self._game.bets += 1
            self._on_placed(command_id, _decode_taken(data))
        elif waiting.name == _CASH_OUT:
            self._game.cash_out.record(took_us)
            self._game.cash_outs += 1
            self._on_cashed_out(command_id, _decode_settled(data))
        else:
            for bet in self.account.compare(_decode_bets(data).settled):
                self._after_settlement(bet)

    def _on_placed(self, command_id: str, taken: Taken) -> None:
        plan = self._plans.pop(command_id)
        bet = self.account.placed(command_id, taken, plan.stake, plan.auto)
        self._bet, self._plan, self._target = bet, plan, plan.target
        if not bet.is_open:
            self._after_settlement(bet)
        elif plan.hasty:
            self._cash_out()

    def _on_cashed_out(self, command_id: str, settled: Settled) -> None:
        bet = self.account.cashed_out(command_id, settled)
        if bet is not None:
            if bet.multiplier is not None:
                self.witness.shown(bet.round, bet.multiplier)
            self._after_settlement(bet)

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        if error.code in REFUSALS:
            self._measurements.refused[error.code] += 1
        else:
            self._measurements.errors[error.code] += 1
        if waiting.name == _PLACE:
            self._plans.pop(command_id, None)
            self.account.not_placed(command_id)
        elif waiting.name == _CASH_OUT:
            self.account.not_cashed_out(command_id)
            if error.code in ("round_not_running", "cash_out_too_early") and self._plan is not None:
                self._target = self._plan.target or 101

    # Settlements

    def _after_settlement(self, bet: Bet) -> None:
        if bet is self._bet:
            self._target = None
            self._strategy.settled(bet.multiplier is not None)
        self._check_end(bet)
        if self._playing and self._random.randrange(_COMPARED_ONE_IN) == 0:
            self._give(_BETS, {})

    def _check_end(self, bet: Bet) -> None:
        """Once, when both the settlement and the end of the round are known."""
        ended = self.witness.ended.get(bet.round)
        if ended is not None and not bet.is_open and not bet.is_checked:
            bet.is_checked = True
            self.account.check_end(bet, ended)
