"""All Crash bots of one process, and what they found together.

Owns fetching what the house has published, the shared figures, and the last look at every bot's books.
"""

from __future__ import annotations

from random import Random
from typing import Any

import httpx
import msgspec

from benchmarks.crash.bot import CrashBot, Game
from benchmarks.crash.report import CrashResult, CrashStatus
from benchmarks.crash.strategy import Strategy
from benchmarks.crowd import Crowd
from benchmarks.options import CrashOptions
from benchmarks.player import Player
from clients.token_keeper import TokenKeeper

FAIRNESS_PATH = "/api/games/crash/fairness"


class _Fairness(msgspec.Struct):
    """What the house publishes before the first round of a chain."""

    salt: str


class CrashCrowd(Crowd):
    """See ``Crowd``."""

    def __init__(self, options: CrashOptions) -> None:
        super().__init__(options)
        self.game = Game(options.table, options.rounds)
        self._table = options.table
        self._crash_bots: list[CrashBot] = []
        self._at_play = (0, 0, 0, 0)
        self._at_stop = (0, 0, 0, 0)
        self._counted = (0, 0, 0, 0)
        self._bets_open_at_end = 0

    async def gather(self) -> None:
        """See ``Crowd.gather``. Without the salt, crash points cannot be verified: that is an error."""
        self.game.salt = await self._published_salt()
        await super().gather()

    def play(self) -> None:
        self._at_play = self._counted = self._counts()
        super().play()

    async def stop(self) -> None:
        self._at_stop = self._counts()
        await super().stop()
        self._bets_open_at_end = sum(bot.close_books() for bot in self._crash_bots)

    def status(self) -> CrashStatus:
        second = self.roll()
        game, found = self.game, self.measurements
        counts, before = self._counts(), self._counted
        self._counted = counts
        return CrashStatus(
            round=max(game.feed.rounds_ended, default=0),
            rounds=len(game.rounds_ended),
            deliveries=counts[0] - before[0],
            bets=game.bets,
            cash_outs=game.cash_outs,
            commands=second.commands,
            lag=game.feed.lag.fold(),
            place=game.place.fold(),
            errors=sum(found.errors.values()),
            violations=sum(game.violations.kinds.values()),
            reconnects=found.reconnects,
            is_over=game.is_over and self._is_settled(),
        )

    def result(self) -> CrashResult:
        found, game, bots = self.measurements, self.game, self._crash_bots
        deliveries, ticks, tick_deliveries, running_ns = (
            stop - play for stop, play in zip(self._at_stop, self._at_play, strict=True)
        )
        return CrashResult(
            began_ns=self._began_ns,
            stopped_ns=self._stopped_ns,
            rounds=game.rounds_ended,
            rounds_verified=sum(bot.witness.rounds_seen for bot in bots),
            bets=game.bets,
            cash_outs=game.cash_outs,
            settled=sum(bot.account.bets_settled for bot in bots),
            bets_open=self._bets_open_at_end,
            deliveries=deliveries,
            ticks=ticks,
            tick_deliveries=tick_deliveries,
            running_ns=running_ns,
            tick_gap_ns_max=game.feed.tick_gap_ns_max,
            lag=game.feed.lag.encoded(),
            place=game.place.encoded(),
            cash_out=game.cash_out.encoded(),
            acknowledged=found.acknowledged,
            errors=dict(found.errors),
            refused=dict(found.refused),
            retried=dict(found.retried),
            violations=dict(game.violations.kinds),
            examples=game.violations.examples,
            close_codes={str(code): count for code, count in found.close_codes.items()},
            reconnects=found.reconnects,
            resumes_asked_for=found.resumes_asked_for,
            connect_failures=found.connect_failures,
            resent=found.resent,
            answers_unmatched=found.answers_unmatched,
            unanswered=found.unanswered,
            players_broke=sum(bot.account.gold == 0 for bot in bots),
            event_gaps=sum(bot.tracker.gaps for bot in bots),
            event_duplicates=sum(bot.tracker.duplicates for bot in bots),
            event_regressions=sum(bot.tracker.regressions for bot in bots),
            malformed_frames=self.counter.malformed_frames,
        )

    def _new_bot(self, number: int, tokens: TokenKeeper, id_prefix: str) -> Player:
        bot = CrashBot(
            self._addresses.sync,
            tokens,
            Strategy(number, Random(self._random.getrandbits(64))),
            Random(self._random.getrandbits(64)),
            self.game,
            id_prefix,
            self.measurements,
            self.counter,
            self._log,
        )
        self._crash_bots.append(bot)
        return bot

    def _is_settled(self) -> bool:
        return not any(bot.unanswered or bot.open_bets for bot in self._crash_bots)

    def _counts(self) -> tuple[int, int, int, int]:
        feed = self.game.feed
        return feed.deliveries, feed.ticks, feed.tick_deliveries, feed.running_ns

    async def _published_salt(self) -> str | None:
        try:
            query: dict[str, Any] = {"table": self._table}
            answer = await self._http.get(f"{self._addresses.http}{FAIRNESS_PATH}", params=query)
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=_Fairness).salt
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            self.measurements.errors["fairness_unknown"] += 1
            self._last_trouble = f"{FAIRNESS_PATH}: {error!r}"
            return None
