"""``journey``: a whole day of a new player, from the sign-up to the reconnect."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from time import monotonic_ns
from typing import Any

import msgspec

from benchmarks.crash.bot import REFUSALS
from benchmarks.crash.events import BettingOpened, Feed, State, TableEvent, Tick
from benchmarks.crash.listener import Listener
from benchmarks.crowd import SignUpFailed
from benchmarks.journey import PLAY_REFUSALS, Journey
from benchmarks.lean_connection import LeanConnection
from benchmarks.load.generator import Load, LoadCrowd
from benchmarks.options import LoadOptions
from benchmarks.player import ErrorData, InFlight
from benchmarks.scenarios.scenario import Figure, Scenario
from clients.token_keeper import TokenKeeper

_STEPS = 10
"""Commands before the bet: the streak, spins, and now and then something else."""
_THINK_S = 0.05
_BETTING_WAIT_S = 60.0
"""For a table to take bets. A rare round lasts longer; that visitor goes without."""
_RULES = REFUSALS | PLAY_REFUSALS


class Visitor(Listener):
    """One command at a time, each awaited."""

    def __init__(self, load: JourneyLoad, tokens: TokenKeeper, id_prefix: str) -> None:
        crowd = load.visitors
        super().__init__(
            crowd.sync_url,
            tokens,
            load.options.table,
            load.feed,
            id_prefix,
            crowd.measurements,
            crowd.counter,
        )
        self.betting = asyncio.Event()
        self._load = load
        self._listening = True
        self._awaited: asyncio.Future[None] | None = None
        self._is_live = asyncio.Event()

    async def be_live(self, kind: str, intended_ns: int) -> None:
        """Until the connection that is being made is authenticated."""
        self._load.began(intended_ns)
        await self._is_live.wait()
        self._load.answered(kind, intended_ns)

    async def ask(self, kind: str, name: str, data: Any) -> None:
        """A refusal by the rules is an answer like any other."""
        now_ns = monotonic_ns()
        self._load.began(now_ns)
        self._awaited = asyncio.get_running_loop().create_future()
        self._give(name, data)
        try:
            await self._awaited
        except CommandRefused as refusal:
            if refusal.args[0] not in _RULES:
                self._load.failed(refusal.args[0], now_ns)
                raise
        self._load.answered(kind, now_ns)

    async def come_back(self) -> None:
        """Lose the connection, and resume."""
        now_ns = monotonic_ns()
        self._is_live.clear()
        self.lose_connection()
        await self.be_live("reconnect", now_ns)

    def told(self, event: TableEvent) -> None:
        if isinstance(event, Tick):
            return
        if isinstance(event, BettingOpened) or (isinstance(event, State) and event.phase == "betting"):
            self.betting.set()
        else:
            self.betting.clear()

    def _on_begin(self, connection: LeanConnection) -> None:
        super()._on_begin(connection)
        self._is_live.set()

    def _on_result(self, command_id: str, waiting: InFlight, data: msgspec.Raw) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    def _on_error(self, command_id: str, waiting: InFlight, error: ErrorData) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(CommandRefused(error.code))


class CommandRefused(Exception):
    """``args[0]`` is the code."""


class JourneyLoad(Load):
    """Arrivals are new players. Each waits for its own answers, so one whose day goes badly asks less."""

    def __init__(self, options: LoadOptions) -> None:
        self.visitors = LoadCrowd(options, self._new_visitor)
        super().__init__(options, self.visitors)
        self.feed = Feed()
        self.figures = {"days": 0, "without_bet": 0}
        self._random = Random(options.seed)
        self._user_ids: deque[str] = deque(maxlen=100)
        """Of the latest guests, who may get gifts."""
        self._days: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *exception: object) -> None:
        for day in self._days:
            day.cancel()
        await asyncio.gather(*self._days, return_exceptions=True)
        await super().__aexit__(*exception)

    async def gather(self) -> None:
        """Nobody is here before the load begins; but the server must take guests."""
        await self.visitors.sign_up()

    def arrive(self, intended_ns: int) -> None:
        if len(self._days) >= self.options.players:
            self.failed("too_many_at_once", intended_ns)
            return
        day = asyncio.create_task(self._day(intended_ns))
        self._days.add(day)
        day.add_done_callback(self._days.discard)

    async def stop(self) -> None:
        self.is_ending = True
        self._end_pace()
        if self._days:
            await asyncio.wait(self._days, timeout=self.options.drain_s)
        await super().stop()

    async def _day(self, intended_ns: int) -> None:
        try:
            tokens = await self.visitors.sign_up()
        except SignUpFailed:
            self.failed("sign_up", intended_ns)
            return
        self.answered("sign_up", intended_ns)
        now_ns = monotonic_ns()
        visitor = self.visitors.enter(tokens)
        try:
            await visitor.be_live("connect", now_ns)
            await self._play(visitor)
            if self.recorder.counts(intended_ns):
                self.figures["days"] += 1
        except CommandRefused:
            pass  # counted where it came from
        finally:
            visitor.leave()

    async def _play(self, visitor: Visitor) -> None:
        self._user_ids.append(visitor.user_id)
        journey = Journey(visitor.user_id, Random(self._random.getrandbits(64)), self._user_ids, set())
        for _ in range(_STEPS):
            step = journey.next_step(0)
            if step is not None:
                await visitor.ask(_KINDS.get(step.name, "other"), step.name, step.data)
            await asyncio.sleep(_THINK_S)
        try:
            async with asyncio.timeout(0.0 if self.is_ending else _BETTING_WAIT_S):
                await visitor.betting.wait()
        except TimeoutError:
            self.figures["without_bet"] += 1
        else:
            bet = {"stake": 1, "table": self.options.table, "auto_cash_out": 1.5}
            await visitor.ask("crash_bet", "place_crash_bet", bet)
        await visitor.come_back()
        await visitor.ask("other", "get_profile", {})

    def _new_visitor(self, crowd: LoadCrowd[Visitor], tokens: TokenKeeper, id_prefix: str) -> Visitor:
        return Visitor(self, tokens, id_prefix)


_KINDS = {"claim_streak": "streak", "spin_slots": "spin"}

SCENARIO = Scenario(
    name="journey",
    summary="new players' whole days: sign up, streak, spins, a Crash bet, a lost connection, resume",
    measured="Every arrival is a new guest who signs up, connects, claims the daily streak, spins with short "
    "pauses, bets once at the Crash table when it takes bets, loses the connection, resumes and looks at the "
    "profile. The sign-up's latency counts from when the guest was due; each further step's from when the "
    "guest took it.",
    load=JourneyLoad,
    kinds=("sign_up", "connect", "streak", "spin", "crash_bet", "reconnect", "other"),
    crowd="with at most {:,} players at once",
    arrival="players",
    operations="operations",
    connections=2000,
    rate=10.0,
    drain_s=90.0,
    figures=(
        Figure("days", "", "whole days of players who arrived in the measured time"),
        Figure("without_bet", "", "players who found no betting open within a minute"),
    ),
)
