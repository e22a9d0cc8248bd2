"""Which access tokens are void before their time, as far as this gateway has heard.

Owns a bounded memory, and the watch that fills it from the database. Tokens are signed and say for
themselves until when they are good; what is remembered here is only who was signed out since.
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

_READ_MAX = 1000
_EVER_S = 10.0 * 365 * 86400


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

    def __len__(self) -> int:
        return len(self._verdicts)

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
    """Asks the database for what is new, all the time. ``on_news`` is told after the memory knows it:
    the verdicts of one reading, by user."""

    def __init__(
        self,
        feed: RevocationFeed,
        revocations: Revocations,
        on_news: Callable[[Mapping[str, Verdict]], None],
        poll_s: float = 0.5,
    ) -> None:
        self._feed = feed
        self._revocations = revocations
        self._on_news = on_news
        self._poll_s = poll_s
        self._last_id = 0
        self._has_started = False
        self._is_failing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when everything is known that still counts: to be awaited before the first token is
        believed. Waits for the database as long as that takes."""
        while not await self._read():
            await asyncio.sleep(self._poll_s)
        self._has_started = True
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
            await self._read()

    async def _read(self) -> bool:
        """Read to the end of the log. False when the database did not answer."""
        # At first no token is older than that. Later there are sockets, which outlive their tokens: after
        # a long silence everything counts.
        age_max_s = _EVER_S if self._has_started else self._revocations.kept_s
        try:
            while True:
                records = await self._feed.after(self._last_id, age_max_s, _READ_MAX)
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
        return True
