"""Durable sends: from the outbox to their receivers, until each has answered.

A send becomes visible here only after the turn that made it is durable. It is repeated under its
own id until the receiver's answer is durable too, across crashes of either side; the receiver
recognises repeats, so the effect happens once. Sends from one actor to another arrive in order.

A send with ``then`` is a question: what it came to is given to its sender as a command, and it
stands until that command's turn is durable.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from runtime.behavior import Answer, Refusal
from runtime.command_ids import answer_id
from runtime.errors import JournalError
from runtime.group_commit import GroupCommit
from runtime.identity import ActorId
from runtime.journal import Journal, OutboxRecord
from runtime.routing import ActorRouter
from runtime.settings import HostSettings
from runtime.stream import Deliver, Failure, Listener, Message, Result
from runtime.turn import encode

_log = logging.getLogger(__name__)

_PAGE_RECORDS = 1000
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 5.0

NOT_FINAL = frozenset({"internal", "invalid_data", "unknown_command"})
"""Codes that tell of a defect, not of a refusal: the send waits for the mended program."""

_Lane = tuple[ActorId, ActorId]


class _Queued(NamedTuple):
    send: OutboxRecord
    again: bool
    """Whether it may have been delivered before."""


class _Told(NamedTuple):
    """Listens to what the sender of a question makes of its answer."""

    settle: Callable[[Message], None]

    def send(self, message: Message) -> None:
        self.settle(message)


class Outbox:
    """``owns`` tells which actors' sends this host is responsible for, ``deliver`` gives one of its
    own actors a command.

    A lane holds the sends of one actor to another; only its first is under way. While there may
    be sends in the table that are in no lane (shards were just taken, or there were too many),
    new ones are held back behind a pass over the table, so that none overtakes an older one.
    """

    def __init__(
        self,
        router: ActorRouter,
        journal: Journal,
        gate: GroupCommit,
        settings: HostSettings,
        owns: Callable[[ActorId], bool],
        deliver: Callable[[Deliver, Listener], None],
    ) -> None:
        self._deliver_here = deliver
        self._router = router
        self._journal = journal
        self._gate = gate
        self._settings = settings
        self._owns = owns
        self._lanes: dict[_Lane, deque[_Queued]] = {}
        self._queued: set[str] = set()
        self._held: list[OutboxRecord] = []
        self._recovering = True
        self._missed = False
        self._poll = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether every known send has been answered."""
        return not (self._queued or self._held or self._recovering)

    @property
    def queued(self) -> int:
        """Sends in memory that are not answered."""
        return len(self._queued) + len(self._held)

    def poll_soon(self) -> None:
        """Look for sends left behind by a previous owner of newly taken shards."""
        self._recovering = True
        self._poll.set()

    def enqueue(self, sends: Iterable[OutboxRecord]) -> None:
        """Deliver sends that have just become durable."""
        for send in sends:
            if not self._recovering:
                self._add(send, again=False)
            elif len(self._held) < self._settings.outbox_queued_max:
                self._held.append(send)
            else:
                self._missed = True

    async def run(self) -> None:
        """Find undelivered sends in the journal, now and then, and at once when asked to."""
        while True:
            try:
                async with asyncio.timeout(self._settings.outbox_poll_s):
                    await self._poll.wait()
            except TimeoutError:
                pass
            self._poll.clear()
            try:
                await self._pass()
            except JournalError as error:
                _log.warning("outbox not read", extra={"reason": str(error)})

    async def _pass(self) -> None:
        """Read the whole table, everybody's sends, page by page, and take up our own."""
        self._missed = False
        after = ""
        while True:
            records = await self._journal.unacknowledged(after, _PAGE_RECORDS)
            for send in records:
                if self._owns(send.sender):
                    self._add(send, again=True)
            if len(records) < _PAGE_RECORDS:
                break
            after = records[-1].command_id
        held, self._held = self._held, []
        if not self._missed:
            self._recovering = False
            for send in held:
                self._add(send, again=False)

    def _add(self, send: OutboxRecord, again: bool) -> None:
        if send.command_id in self._queued:
            return
        if len(self._queued) >= self._settings.outbox_queued_max:
            # It stays in the table; nothing newer may pass until a later pass has taken it up.
            self._recovering = self._missed = True
            return
        self._queued.add(send.command_id)
        key = (send.sender, send.to)
        lane = self._lanes.setdefault(key, deque())
        lane.append(_Queued(send, again))
        if len(lane) == 1:
            self._deliver(key, _RETRY_FIRST_S, again)

    def _deliver(self, key: _Lane, retry_s: float, again: bool) -> None:
        """Send the first of a lane, and the next when that is settled."""
        lane = self._lanes[key]
        send = lane[0].send
        if not self._owns(send.sender):
            self._queued.difference_update(waiting.send.command_id for waiting in lane)
            del self._lanes[key]
            return

        def later() -> None:
            asyncio.get_running_loop().call_later(
                retry_s, self._deliver, key, min(2 * retry_s, _RETRY_MAX_S), True
            )

        def answered(answer: Result | Failure) -> None:
            if isinstance(answer, Failure) and (answer.retryable or answer.code in NOT_FINAL):
                later()
            elif send.then:
                self._deliver_here(_returned(send, answer), _Told(told))
            else:
                self._settled(key, answer)

        def told(message: Message) -> None:
            if isinstance(message, Result) or (
                isinstance(message, Failure) and not message.retryable and message.code not in NOT_FINAL
            ):
                self._settled(key, Result(0, msgspec.Raw(b"\x80")))
            else:
                later()

        self._router.submit(
            send.to,
            send.command_id,
            send.name,
            send.data,
            answered,
            sender=send.sender,
            again=again,
            is_question=bool(send.then),
        )

    def _settled(self, key: _Lane, answer: Result | Failure) -> None:
        """The first of a lane is done with."""
        lane = self._lanes[key]
        send = lane.popleft().send
        if isinstance(answer, Failure):
            reason = f"{answer.code}: {answer.message}"
            _log.error(
                "durable send refused", extra={"send": send.command_id, "to": send.to, "reason": reason}
            )
            self._gate.refuse_send(send.command_id, reason)
        else:
            self._gate.acknowledge(send.command_id)
        self._queued.discard(send.command_id)
        if self._missed and 2 * len(self._queued) < self._settings.outbox_queued_max:
            self._poll.set()
        if lane:
            self._deliver(key, _RETRY_FIRST_S, lane[0].again)
        else:
            del self._lanes[key]


def _returned(send: OutboxRecord, answer: Result | Failure) -> Deliver:
    """What a question came to, as a command for the one who asked."""
    if isinstance(answer, Result):
        data = Answer(bytes(answer.data))
    else:
        data = Answer(refusal=Refusal(answer.code, answer.message))
    return Deliver(
        0, send.sender, answer_id(send.command_id), send.then, msgspec.Raw(encode(data)), send.to, again=True
    )
