"""Asks the journal before somebody is refused: the command may have been applied long ago.

Replies stay in memory only for so long. A repeat of a forgotten command that would be applied again
meets the journal's unique key; one that its actor now refuses would never get that far, and its
caller would be told that nothing happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from runtime.activation import fingerprint_of
from runtime.errors import IdReused, JournalError, Unavailable
from runtime.group_commit import Listener
from runtime.identity import ActorId
from runtime.journal import Journal
from runtime.stream import Deliver, Failure, Message, Misrouted, Result
from runtime.turn import decode_body


class _Refusal(NamedTuple):
    request: Deliver
    listener: Listener
    failure: Failure


class Recall:
    """``may_answer`` says whether this host still speaks for an actor."""

    def __init__(self, journal: Journal, may_answer: Callable[[ActorId], bool]) -> None:
        self._journal = journal
        self._may_answer = may_answer
        self._refusals: list[_Refusal] = []
        self._wake = asyncio.Event()

    def listener(self, request: Deliver, listener: Listener) -> Listener:
        """Stands before ``listener``, and asks when it is given a refusal."""
        return listener if isinstance(listener, _Doubt) else _Doubt(self, request, listener)

    def ask(self, request: Deliver, listener: Listener, failure: Failure) -> None:
        self._refusals.append(_Refusal(request, listener, failure))
        self._wake.set()

    async def run(self) -> None:
        """All that gathers during one question goes into the next."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._refusals:
                refusals, self._refusals = self._refusals, []
                await self._settle(refusals)

    async def _settle(self, refusals: list[_Refusal]) -> None:
        wanted = {(r.request.actor, r.request.command_id): None for r in refusals}
        try:
            rows = await self._journal.find(list(wanted))
        except JournalError as error:
            for request, listener, _ in refusals:
                listener.send(Failure(request.ref, Unavailable.code, str(error), Unavailable.retryable))
            return
        stored = {(row.actor, row.command_id): row for row in rows}
        for request, listener, failure in refusals:
            row = stored.get((request.actor, request.command_id))
            answer: Message = failure
            if not self._may_answer(request.actor):
                answer = Misrouted(request.ref)
            elif row is not None and row.fingerprint == fingerprint_of(request.name, bytes(request.data)):
                answer = Result(request.ref, msgspec.Raw(bytes(decode_body(row.body).reply)))
            elif row is not None:
                message = f"the id {request.command_id!r} was used for another command"
                answer = Failure(request.ref, IdReused.code, message, IdReused.retryable)
            listener.send(answer)


class _Doubt:
    """A listener that does not believe refusals."""

    __slots__ = ("_listener", "_recall", "_request")

    def __init__(self, recall: Recall, request: Deliver, listener: Listener) -> None:
        self._recall = recall
        self._request = request
        self._listener = listener

    def send(self, message: Message) -> None:
        if type(message) is Failure and not message.retryable and message.code != IdReused.code:
            self._recall.ask(self._request, self._listener, message)
        else:
            self._listener.send(message)
