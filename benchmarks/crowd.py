"""All bots of one process: signs them up, sets them to play, and collects what they measured.

Owns pacing (sign-ups, renewals, deliberate connection losses, resends of lost answers). Each player's
behaviour is the bot's; several processes are ``bots``'.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from random import Random
from time import monotonic_ns

import httpx
import msgspec

from benchmarks.bot import Bot
from benchmarks.command_log import CommandLog
from benchmarks.journey import Journey
from benchmarks.lean_connection import EventCounter
from benchmarks.measurements import Measurements, Second, Status
from benchmarks.options import BotOptions
from benchmarks.player import Player
from benchmarks.report import CrowdResult
from clients.backoff import Backoff
from clients.errors import AuthenticationFailed, ClientError, ConnectionLost
from clients.sign_in import addresses_of, sign_in_guest
from clients.token_keeper import TokenKeeper


class SignUpFailed(Exception):
    """The players could not be signed up, so there is nothing to measure."""


class Crowd:
    """``async with Crowd(options) as crowd``: ``gather``, ``play``, ``stop``, ``result``.

    Players of slots, unless a subclass makes others.
    """

    patrol_s = 0.1
    """Between two looks for lost answers."""

    def __init__(self, options: BotOptions) -> None:
        options.check()
        self.measurements = Measurements()
        self.counter = EventCounter()
        self._options = options
        self._addresses = addresses_of(options.url)
        self._prefix = f"{secrets.token_hex(4)}-"
        self._random = Random(options.seed)
        self._bots: dict[int, Player] = {}
        self._gone: list[Player] = []
        self._user_ids: list[str] = []
        self._disabled: set[str] = set()
        self._seats: list[asyncio.Task[None]] = []
        self._sign_ups = asyncio.Semaphore(options.sign_up_parallel)
        self._next_sign_up = 0.0
        self._last_trouble = ""
        self._http = httpx.AsyncClient(timeout=20.0)
        self._log: CommandLog | None = None
        self._patrol: asyncio.Task[None] | None = None
        self._next_loss_ns: dict[int, int] = {}
        self._playing = False
        self._began_ns = 0
        self._stopped_ns = 0
        self._commands_at_stop = 0
        self._events_at_stop = 0

    async def __aenter__(self) -> Crowd:
        if self._options.log is not None:
            self._log = CommandLog(Path(self._options.log), self._prefix)
        return self

    async def __aexit__(self, *exception: object) -> None:
        tasks = [*self._seats, *([self._patrol] if self._patrol else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()
        if self._log is not None:
            self._log.close()

    @property
    def players_ready(self) -> int:
        return sum(bot.is_ready for bot in self._bots.values())

    @property
    def event_gaps(self) -> int:
        """Times that a player found events missing; it came back and resumed."""
        return sum(bot.tracker.gaps for bot in [*self._gone, *self._bots.values()])

    def roll(self) -> Second:
        """What happened since the last call; call about once a second."""
        return self.measurements.roll(self.counter.events)

    def status(self) -> msgspec.Struct:
        """What the last second was like, for the live display."""
        found = self.measurements
        return Status(self.roll(), sum(found.errors.values()), found.reconnects, found.acknowledged)

    async def gather(self) -> None:
        """Sign every player up and connect them all.

        Raises:
            SignUpFailed: not all of them came in, in time.
        """
        self._seats = [asyncio.create_task(self._seat(number)) for number in range(self._options.players)]
        deadline_s = self._options.sign_up_timeout_s
        try:
            async with asyncio.timeout(deadline_s):
                while self.players_ready < self._options.players:
                    for seat in self._seats:
                        if seat.done():
                            seat.result()
                            raise SignUpFailed(f"a player was refused: {dict(self.measurements.errors)}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise SignUpFailed(
                f"{self.players_ready} of {self._options.players} players connected within {deadline_s:g} s; "
                f"last trouble: {self._last_trouble or 'no answer to the authentication'}"
            ) from None

    def play(self) -> None:
        """Begin the measured time."""
        self._began_ns = monotonic_ns()
        self.measurements.start(self._began_ns)
        self._playing = True
        for bot in self._bots.values():
            bot.play()
        self._patrol = asyncio.create_task(self._keep_watch())

    async def stop(self) -> None:
        """End the measured time, wait for the answers still due, and send everybody home."""
        self._playing = False
        self._stopped_ns = monotonic_ns()
        self.measurements.finish(self._stopped_ns)
        self._commands_at_stop = self.measurements.acknowledged
        self._events_at_stop = self.counter.events
        bots = list(self._bots.values())
        for bot in bots:
            bot.stop_playing()
        deadline_ns = self._stopped_ns + int(self._options.drain_s * 1e9)
        while monotonic_ns() < deadline_ns and not self._is_settled():
            await asyncio.sleep(0.02)
        # The last events may follow the last answers.
        await asyncio.sleep(0.25)
        for bot in bots:
            bot.leave()
        if self._seats:
            await asyncio.wait(self._seats, timeout=5.0)

    def result(self) -> msgspec.Struct:
        """Everything measured. Call after ``stop``."""
        self.roll()
        found = self.measurements
        bots = [*self._gone, *self._bots.values()]
        return CrowdResult(
            began_ns=self._began_ns,
            stopped_ns=self._stopped_ns,
            commands=self._commands_at_stop,
            acknowledged=found.acknowledged,
            events=self._events_at_stop,
            histogram=found.histogram.encode().decode("ascii"),
            errors=dict(found.errors),
            refused=dict(found.refused),
            retried=dict(found.retried),
            unsupported=dict(found.unsupported),
            close_codes={str(code): count for code, count in found.close_codes.items()},
            reconnects=found.reconnects,
            resumes_asked_for=found.resumes_asked_for,
            connect_failures=found.connect_failures,
            resent=found.resent,
            answers_unmatched=found.answers_unmatched,
            unanswered=found.unanswered,
            players_broke=found.players_broke,
            event_gaps=self.event_gaps,
            event_duplicates=sum(bot.tracker.duplicates for bot in bots),
            event_regressions=sum(bot.tracker.regressions for bot in bots),
            snapshots=self.counter.snapshots,
            malformed_frames=self.counter.malformed_frames,
            stalls=found.stalls,
            bot_stalls_s=[bot.stall_ns_max / 1e9 for bot in bots],
        )

    def _is_settled(self) -> bool:
        """Whether nothing is due any more to those who have stopped playing."""
        return not any(bot.unanswered for bot in self._bots.values())

    async def _seat(self, number: int) -> None:
        """One player after another: who has gambled everything away makes room for a new guest."""
        while True:
            tokens = await self._sign_up()
            if self._stopped_ns:
                return
            bot = self._new_bot(number, tokens, f"{self._prefix}{number}.{len(self._gone)}.")
            self._bots[number] = bot
            if self._playing:
                bot.play()
            await bot.run()
            if not (bot.is_broke and self._playing):
                return
            self._gone.append(bot)

    def _new_bot(self, number: int, tokens: TokenKeeper, id_prefix: str) -> Player:
        options = self._options
        user_id = tokens.user_id or ""
        self._user_ids.append(user_id)
        journey = Journey(
            user_id,
            Random(self._random.getrandbits(64)),
            self._user_ids,
            self._disabled,
            options.stake,
            options.machine,
        )
        return Bot(
            self._addresses.sync,
            tokens,
            journey,
            id_prefix,
            self.measurements,
            self.counter,
            options.depth,
            options.think_s,
            self._log,
        )

    async def _sign_up(self) -> TokenKeeper:
        backoff = Backoff(base_s=0.2, ceiling_s=5.0)
        async with self._sign_ups:
            while True:
                await self._pace_sign_ups()
                try:
                    account = await sign_in_guest(self._addresses.http, self._http)
                    return TokenKeeper(self._addresses.http, account=account, http=self._http)
                except ConnectionLost as error:
                    self.measurements.connect_failures += 1
                    self._last_trouble = str(error)
                except AuthenticationFailed as error:
                    self.measurements.errors[f"sign_up:{error.code}"] += 1
                    raise SignUpFailed(str(error)) from error
                except ClientError as error:
                    raise SignUpFailed(str(error)) from error
                await asyncio.sleep(backoff.next_s())

    async def _pace_sign_ups(self) -> None:
        if self._options.sign_ups_per_s is None:
            return
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_sign_up)
        self._next_sign_up = at + 1 / self._options.sign_ups_per_s
        await asyncio.sleep(at - now)

    async def _keep_watch(self) -> None:
        """Deliberate connection losses, resends of what seems to have been lost, and new tokens."""
        every_s = self._options.resume_every_s
        answer_timeout_ns = int(self._options.answer_timeout_s * 1e9)
        while True:
            await asyncio.sleep(self.patrol_s)
            now = monotonic_ns()
            for number, bot in list(self._bots.items()):
                bot.resend_older_than(now - answer_timeout_ns)
                bot.renew_if_due(self._sign_ups)
                if every_s is not None and self._playing:
                    due = self._next_loss_ns.get(number)
                    if due is None or now >= due:
                        self._next_loss_ns[number] = now + int(self._random.uniform(0.5, 1.5) * every_s * 1e9)
                        if due is not None:
                            bot.lose_connection()
