"""Which access tokens are void before their time, as far as this gateway has heard.

Owns a bounded memory, and the watch that fills it from the database and has the database forget. Tokens
are signed and say for themselves until when they are good; what is remembered here is only who was signed
out since.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.ports import RevocationFeed
from runtime.clock import Clock
from runtime.errors import CommandError

_log = logging.getLogger(__name__)

BAN = "ban"
STALE_AFTER_S = 10.0
"""Without an answer from the database, until the gateway is unready and administrators are refused."""

_READ_MAX = 1000
_FORGOTTEN_MAX = 1000
_FORGET_EVERY_S = 3600.0
_FORGOTTEN_AFTER_S = 2 * 86400.0
"""Twice the longest life that an access token can be given: whatever another gateway is set to, it
needs none that are older."""


class Verdict(NamedTuple):
    """Tokens issued before ``not_before_s`` are void, ``because`` of this."""

    not_before_s: int
    because: str


class Revocations:
    """The latest verdict on each user, for as long as a token lives. Times in seconds since the Unix
    epoch.

    Beyond ``users_max`` the oldest verdicts are forgotten by widening them: every token as old as
    theirs is void then, whoever's it is. That signs people out who need not be, for one refresh;
    it never lets anybody in.
    """

    def __init__(self, clock: Clock, kept_s: float, users_max: int = 100_000) -> None:
        """``kept_s``: the longest that an access token can be good, leeway included."""
        self.kept_s = kept_s
        self._clock = clock
        self._users_max = users_max
        self._verdicts: OrderedDict[str, tuple[Verdict, float]] = OrderedDict()
        self._everybody = Verdict(0, "revoked")
        self._heard_s: float | None = None

    def __len__(self) -> int:
        return len(self._verdicts)

    def heard(self) -> None:
        """Everything that there was to know is known, as of now."""
        self._heard_s = self._clock.monotonic()

    @property
    def is_stale(self) -> bool:
        """Whether that is longer ago than ``STALE_AFTER_S``. Not so where nobody ever listened."""
        return self._heard_s is not None and self._clock.monotonic() - self._heard_s > STALE_AFTER_S

    def add(self, user_id: str, verdict: Verdict) -> None:
        """Remember the verdict, unless a later one is known."""
        known = self._verdicts.get(user_id)
        if known is None or verdict.not_before_s >= known[0].not_before_s:
            self._verdicts[user_id] = (verdict, self._clock.monotonic())
            self._verdicts.move_to_end(user_id)
        self._forget()

    def verdict(self, user_id: str, issued_s: int) -> Verdict | None:
        """Why a token of this user, issued then, is void; None when it is good."""
        known = self._verdicts.get(user_id)
        if known is not None and issued_s < known[0].not_before_s:
            return known[0]
        return self._everybody if issued_s < self._everybody.not_before_s else None

    def _forget(self) -> None:
        verdicts = self._verdicts
        expired = self._clock.monotonic() - self.kept_s
        while verdicts:
            verdict, learned = next(iter(verdicts.values()))
            if learned < expired:
                verdicts.popitem(last=False)
            elif len(verdicts) > self._users_max:
                verdicts.popitem(last=False)
                if verdict.not_before_s > self._everybody.not_before_s:
                    self._everybody = self._everybody._replace(not_before_s=verdict.not_before_s)
            else:
                return


class RevocationWatch:
    """Asks the database for what is new, all the time, and once an hour to delete what is too old to
    count. ``on_news`` is told after the memory knows it: the verdicts of one reading, by user."""

    def __init__(
        self,
        feed: RevocationFeed,
        revocations: Revocations,
        on_news: Callable[[Mapping[str, Verdict]], None],
        clock: Clock,
        age_max_s: float,
        poll_s: float = 0.5,
    ) -> None:
        """``age_max_s``: how long after its issue a token, or a socket that it opened, may still be good."""
        self._feed = feed
        self._revocations = revocations
        self._on_news = on_news
        self._poll_s = poll_s
        self._clock = clock
        self._age_max_s = age_max_s
        self._last_id: int | None = None
        self._forget_at = clock.monotonic()
        self._is_failing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when everything is known that still counts: to be awaited before the first token is
        believed. Waits for the database as long as that takes."""
        while not await self._read():
            await asyncio.sleep(self._poll_s)
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="revocations")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            if await self._read() and self._clock.monotonic() >= self._forget_at:
                await self._forget()

    async def _forget(self) -> None:
        """Delete some; the rest, if there is any, next time."""
        age_s = max(_FORGOTTEN_AFTER_S, self._age_max_s)
        try:
            gone = await self._feed.forget(age_s, _FORGOTTEN_MAX)
        except Exception as error:
            # It must not keep the watch from its work.
            _log.warning("revocations not deleted", extra={"reason": repr(error)})
            gone = 0
        if gone < _FORGOTTEN_MAX:
            self._forget_at = self._clock.monotonic() + _FORGET_EVERY_S

    async def _read(self) -> bool:
        """Read to the end of the log. False when the database did not answer."""
        try:
            if self._last_id is None:
                self._last_id = await self._feed.position(self._age_max_s)
            while True:
                records = await self._feed.after(self._last_id, self._age_max_s, _READ_MAX)
                news: dict[str, Verdict] = {}
                for record in records:
                    verdict = Verdict(int(record.not_before.timestamp()), record.because)
                    self._revocations.add(record.user_id, verdict)
                    news[record.user_id] = verdict
                if records:
                    self._last_id = records[-1].id
                    self._on_news(news)
                if len(records) < _READ_MAX:
                    break
        except CommandError as error:
            if not self._is_failing:
                _log.warning("revocations cannot be read", extra={"reason": str(error)})
            self._is_failing = True
            return False
        except Exception:
            # A watch that has died would let every banned user in.
            _log.exception("revocations could not be read")
            return False
        self._is_failing = False
        self._revocations.heard()
        return True
