"""Durable sends: from the outbox to their receivers, until each has answered.

A send becomes visible here only after the turn that made it is durable. It is repeated under its
own id until the receiver's answer is durable too, across crashes of either side; the receiver
recognises repeats, so the effect happens once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

from runtime.errors import JournalError
from runtime.group_commit import GroupCommit
from runtime.identity import ActorId
from runtime.journal import Journal, OutboxRecord
from runtime.routing import ActorRouter
from runtime.settings import HostSettings
from runtime.stream import Failure, Result

_log = logging.getLogger(__name__)


_PAGE_RECORDS = 1000


class Outbox:
    """``owns`` tells which actors' sends this host is responsible for."""

    def __init__(
        self,
        router: ActorRouter,
        journal: Journal,
        gate: GroupCommit,
        settings: HostSettings,
        owns: Callable[[ActorId], bool],
    ) -> None:
        self._router = router
        self._journal = journal
        self._gate = gate
        self._settings = settings
        self._owns = owns
        self._in_flight: dict[str, OutboxRecord] = {}
        self._waiting: deque[OutboxRecord] = deque()
        self._poll = asyncio.Event()
        self._after = ""

    def poll_soon(self) -> None:
        """Look for sends left behind by a previous owner of newly taken shards."""
        self._poll.set()

    def enqueue(self, sends: Iterable[OutboxRecord]) -> None:
        """Deliver sends that have just become durable."""
        for send in sends:
            if len(self._in_flight) < self._settings.outbox_in_flight_max:
                self._deliver(send)
            elif len(self._waiting) < self._settings.outbox_in_flight_max:
                self._waiting.append(send)
            # Past both bounds it stays in the table, where the next poll finds it.

    async def run(self) -> None:
        """Find undelivered sends in the journal, now and then, and at once when asked to."""
        while True:
            try:
                async with asyncio.timeout(self._settings.outbox_poll_s):
                    await self._poll.wait()
            except TimeoutError:
                pass
            self._poll.clear()
            room = self._settings.outbox_in_flight_max - len(self._in_flight)
            if room <= 0:
                continue
            try:
                records = await self._journal.unacknowledged(self._after, _PAGE_RECORDS)
            except JournalError:
                continue
            # The table has everybody's sends: read it page by page, over and over.
            self._after = records[-1].command_id if len(records) == _PAGE_RECORDS else ""
            if self._after:
                self._poll.set()
            waiting = {send.command_id for send in self._waiting}
            for send in records:
                if len(self._in_flight) >= self._settings.outbox_in_flight_max:
                    break
                if send.command_id not in waiting and self._owns(send.sender):
                    self._deliver(send)

    def _deliver(self, send: OutboxRecord) -> None:
        if send.command_id in self._in_flight:
            return
        self._in_flight[send.command_id] = send

        def answered(answer: Result | Failure) -> None:
            self._in_flight.pop(send.command_id, None)
            if type(answer) is Result:
                self._gate.acknowledge(send.command_id)
            elif isinstance(answer, Failure) and not answer.retryable:
                _log.error(
                    "durable send refused",
                    extra={"send": send.command_id, "to": send.to, "reason": answer.message},
                )
                self._gate.refuse_send(send.command_id, f"{answer.code}: {answer.message}")
            # A retryable failure leaves the send in the table; the next poll tries it again.
            if self._waiting:
                self._deliver(self._waiting.popleft())

        self._router.submit(send.to, send.command_id, send.name, send.data, answered, sender=send.sender)
