"""Brings actors into memory: many that are wanted at once are read in one go.

A mass recovery wants thousands of actors; asking for each alone would cost a round trip each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from runtime.activation import Activation, StoredReply
from runtime.clock import Clock
from runtime.errors import JournalError
from runtime.journal import Journal, Recovered
from runtime.lifecycle import Phase
from runtime.recall import find_replies
from runtime.settings import HostSettings
from runtime.stream import Deliver

_log = logging.getLogger(__name__)
_RETRY_S = 0.05


class Loader:
    """``recovered`` is called with each activation that is still LOADING and what the journal knows
    of it; ``failed`` with those the journal could not be asked for within the deadline."""

    def __init__(
        self,
        journal: Journal,
        settings: HostSettings,
        clock: Clock,
        recovered: Callable[[Activation[Any], Recovered], None],
        failed: Callable[[Activation[Any]], None],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._recovered = recovered
        self._failed = failed
        self._wanted: list[Activation[Any]] = []
        self._loading: list[Activation[Any]] = []
        self._wake = asyncio.Event()

    def want(self, activation: Activation[Any]) -> None:
        self._wanted.append(activation)
        self._wake.set()

    @property
    def waiting_messages(self) -> int:
        """Commands in the mailboxes of the actors that are being loaded."""
        return sum(len(a.mailbox or ()) for a in (*self._loading, *self._wanted))

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                batch = self._wanted[: self._settings.load_actors_max]
                del self._wanted[: len(batch)]
                self._loading = [a for a in batch if a.phase is Phase.LOADING]
                await self._load(self._loading)
                self._loading = []

    async def _load(self, batch: list[Activation[Any]]) -> None:
        deadline_s = self._clock.monotonic() + self._settings.journal_deadline_s
        while True:
            try:
                found = await self._journal.load([activation.actor for activation in batch])
                await self._recall(batch)
                break
            except JournalError as error:
                if self._clock.monotonic() >= deadline_s:
                    _log.error("load failed", extra={"actors": len(batch), "error": str(error)})
                    for activation in batch:
                        if activation.phase is Phase.LOADING:
                            self._failed(activation)
                    return
                await asyncio.sleep(_RETRY_S)
        for activation, recovered in zip(batch, found, strict=True):
            if activation.phase is Phase.LOADING:
                try:
                    self._recovered(activation, recovered)
                except Exception:
                    # One unreadable actor must not keep the others from loading.
                    _log.exception("recovery failed", extra={"actor": activation.actor})
                    self._failed(activation)

    async def _recall(self, batch: list[Activation[Any]]) -> None:
        """Where one repeat of an old command was found there may be more: look all that wait up at
        once, or each would cost a commit, and its actor a load, of its own."""
        waiting = {
            (activation.actor, request.command_id): activation
            for activation in batch
            if activation.known is not None
            for request, _ in activation.mailbox or ()
            if type(request) is Deliver
        }
        found = await find_replies(self._journal, list(waiting)) if waiting else {}
        for pair, (turn, reply) in found.items():
            known = waiting[pair].known
            if known is not None:
                known[turn.command_id] = StoredReply(turn.fingerprint, reply)
