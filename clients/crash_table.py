"""A Crash table as its events tell it, with every finished round proved. Pure but for its clock.

Owns what is known of the current round, and which rounds were verified. It asks nobody: what was
published about the chain is given to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from clients.crash_events import (
    CrashBet,
    CrashBetsPlaced,
    CrashBettingOpened,
    CrashCashedOut,
    CrashCrashed,
    CrashEvent,
    CrashStarted,
    CrashState,
    CrashTick,
    FinishedRound,
)
from clients.crash_fairness import CrashFairness, RoundChecker
from clients.errors import UnfairRound
from clients.verification import is_crash_link

HISTORY_ROUNDS_MAX = 50
_GROWTH_PER_MS = 0.00006


class CrashTable:
    """The table now. Fields are None, zero or empty until an event has told them."""

    def __init__(self, table: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds that never jump; tests inject their own."""
        self.table = table
        self.phase: str | None = None
        """``betting``, ``running``, ``crashed`` or ``pause``."""
        self.round: int | None = None
        self.betting_ends_ms: int | None = None
        self.started_ms: int | None = None
        self.next_round_ms: int | None = None
        self.stake_min: int | None = None
        self.stake_max: int | None = None
        self.players = 0
        """Bets in this round."""
        self.staked = 0
        self.cashed_out = 0
        """Bets of this round that were cashed out, as far as this client was told."""
        self.paid = 0
        self.bets: dict[str, CrashBet] = {}
        """By user. Of a large round only some are told; ``players`` and ``staked`` count them all."""
        self.history: list[FinishedRound] = []
        """Newest first, at most 50."""
        self.rounds_verified = 0
        self.unfair_rounds: list[UnfairRound] = []
        """Every contradiction found so far. Must be empty."""
        self._clock = clock
        self._server_ahead_ms: float | None = None
        self._checker: RoundChecker | None = None
        self._unverified: dict[int, FinishedRound] = {}

    def multiplier(self) -> float:
        """The multiplier at this moment, computed from the start of the round; where it ended, once it
        has; 1.0 before it starts. The house decides by its own clock, and may have crashed already."""
        if self.phase in ("crashed", "pause"):
            last = self.history[0] if self.history else None
            return 1.0 if last is None else last.multiplier
        server_ms = self.server_ms()
        if self.phase != "running" or self.started_ms is None or server_ms is None:
            return 1.0
        elapsed_ms = max(0, int(server_ms - self.started_ms))
        return math.floor(100 * math.exp(_GROWTH_PER_MS * elapsed_ms)) / 100

    def server_ms(self) -> float | None:
        """The server's clock now, less the time that its events take to get here."""
        if self._server_ahead_ms is None:
            return None
        return self._clock() * 1000 + self._server_ahead_ms

    @property
    def needs_fairness(self) -> bool:
        """Whether rounds wait to be verified against a chain that was not given yet."""
        return bool(self._unverified)

    def trust(self, checker: RoundChecker) -> None:
        """Verify against this chain from now on, the rounds that wait first."""
        self._checker = checker
        for finished in sorted(self._unverified.values(), key=lambda finished: finished.round):
            self._verify(finished)

    def give_up_unverified(self) -> None:
        """No chain was published for the rounds that wait: the house was not committed to them."""
        for round in sorted(self._unverified):
            self._accuse(round, "no chain that was published has a hash for it")
        self._unverified.clear()

    @property
    def fairness(self) -> CrashFairness | None:
        """What was published of the chain in use."""
        return self._checker.fairness if self._checker is not None else None

    def apply(self, event: CrashEvent, sent_ms: float | None = None) -> None:
        """Take in one event, in order. ``sent_ms``: when it happened, by the server's clock."""
        if sent_ms is not None:
            self._tell_time(sent_ms)
        match event:
            case CrashState():
                self._replace(event)
            case CrashBettingOpened():
                self._open(event)
            case CrashBetsPlaced():
                self.players, self.staked = event.players, event.staked
                self.bets.update((bet.user_id, bet) for bet in event.bets)
            case CrashStarted():
                self.phase, self.round, self.started_ms = "running", event.round, event.started_ms
                self.players, self.staked = event.players, event.staked
                self._tell_time(event.started_ms)
            case CrashTick():
                if self.started_ms is not None:
                    self._tell_time(self.started_ms + event.elapsed_ms)
            case CrashCashedOut():
                self._cash_out(event)
            case CrashCrashed():
                self._crash(event)

    def _tell_time(self, server_ms: float) -> None:
        """The event that travelled fastest is nearest to the truth."""
        ahead_ms = server_ms - self._clock() * 1000
        if self._server_ahead_ms is None or ahead_ms > self._server_ahead_ms:
            self._server_ahead_ms = ahead_ms

    def _replace(self, event: CrashState) -> None:
        self.phase, self.round = event.phase, event.round
        self.betting_ends_ms, self.started_ms = event.betting_ends_ms, event.started_ms
        self.next_round_ms = event.next_round_ms
        self.stake_min, self.stake_max = event.stake_min, event.stake_max
        self.players, self.staked = event.players, event.staked
        self.bets = {bet.user_id: bet for bet in event.bets}
        cashed_out = [bet for bet in event.bets if bet.multiplier is not None]
        self.cashed_out, self.paid = len(cashed_out), sum(bet.payout for bet in cashed_out)
        for finished in sorted(event.history, key=lambda finished: finished.round):
            self._remember(finished)

    def _open(self, event: CrashBettingOpened) -> None:
        self.phase, self.round = "betting", event.round
        self.betting_ends_ms, self.started_ms, self.next_round_ms = event.betting_ends_ms, None, None
        self.players = self.staked = self.cashed_out = self.paid = 0
        self.bets = {}
        # Clocks drift apart: what was known from the last round is not kept for ever.
        self._server_ahead_ms = None
        self._tell_time(event.server_ms)

    def _cash_out(self, event: CrashCashedOut) -> None:
        self.cashed_out, self.paid = event.cashed_out, event.paid
        for cash_out in event.cash_outs:
            bet = self.bets.get(cash_out.user_id)
            if bet is not None:
                self.bets[bet.user_id] = CrashBet(
                    bet.user_id, bet.stake, bet.auto_cash_out, cash_out.multiplier, cash_out.payout
                )

    def _crash(self, event: CrashCrashed) -> None:
        self.phase, self.round = "crashed", event.round
        self.players, self.staked, self.paid = event.players, event.staked, event.paid
        finished = FinishedRound(event.round, event.hash, event.crash_point, event.ended, event.multiplier)
        try:
            is_linked = is_crash_link(event.hash, event.previous_hash)
        except ValueError as error:
            self._accuse(event.round, str(error))
            return
        if not is_linked:
            self._accuse(event.round, f"SHA-256({event.hash}) is not the hash before, {event.previous_hash}")
        if event.multiplier != event.crash_point and not (
            event.ended == "forced" and event.multiplier < event.crash_point
        ):
            self._accuse(
                event.round,
                f"it {event.ended} at {event.multiplier:.2f} with a crash point of {event.crash_point:.2f}",
            )
        self._remember(finished)

    def _remember(self, finished: FinishedRound) -> None:
        if any(known == finished for known in self.history):
            return
        kept = [known for known in self.history if known.round != finished.round]
        self.history = sorted([*kept, finished], key=lambda known: -known.round)[:HISTORY_ROUNDS_MAX]
        self._verify(finished)

    def _verify(self, finished: FinishedRound) -> None:
        checker = self._checker
        if checker is not None and finished.round < checker.fairness.first_round:
            # Of a chain that is used up: it can be proved by itself, and no longer from here.
            self._unverified.pop(finished.round, None)
            return
        if checker is None or not checker.covers(finished.round):
            self._unverified[finished.round] = finished
            return
        self._unverified.pop(finished.round, None)
        try:
            checker.check(finished.round, finished.hash, finished.crash_point)
            self.rounds_verified += 1
        except UnfairRound as unfair:
            self.unfair_rounds.append(unfair)

    def _accuse(self, round: int, problem: str) -> None:
        self.unfair_rounds.append(UnfairRound(self.table, round, problem))
