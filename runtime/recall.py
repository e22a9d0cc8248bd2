"""Asks the journal what a command came to, when the actor's memory does not reach that far.

Replies stay in memory only for so long. A repeat of a forgotten command that would be applied again
meets the journal's unique key; one that its actor now refuses would never get that far, and its
caller would be told that nothing happened. So nobody is refused before the journal was asked, and
what is known to be sent once more is not even tried before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from runtime.activation import fingerprint_of
from runtime.errors import IdReused, JournalError, Overloaded, Unavailable
from runtime.identity import ActorId
from runtime.journal import Journal, StoredTurn
from runtime.settings import HostSettings
from runtime.stream import Deliver, Failure, Listener, Message, Misrouted
from runtime.turn import answer_of, decode_body, deferred_to


class Found(NamedTuple):
    """A turn in the journal, and its reply: the final one, if there is one yet."""

    turn: StoredTurn
    reply: bytes


async def find_replies(
    journal: Journal, wanted: Sequence[tuple[ActorId, str]]
) -> dict[tuple[ActorId, str], Found]:
    """What these (actor, command id) pairs came to, as far as they are in the journal."""
    found = {
        (row.actor, row.command_id): Found(row, bytes(decode_body(row.body).reply))
        for row in await journal.find(wanted)
    }
    deferred = {
        pair: (pair[0], answer)
        for pair, (_, reply) in found.items()
        if (answer := deferred_to(reply)) is not None
    }
    if deferred:
        answers = await find_replies(journal, list(deferred.values()))
        for pair, answered_by in deferred.items():
            if answered_by in answers:
                found[pair] = Found(found[pair].turn, answers[answered_by].reply)
    return found


class Asked:
    """The listener of a request for which the journal was asked, and knows nothing."""

    __slots__ = ("listener",)

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def send(self, message: Message) -> None:
        self.listener.send(message)


class _Question(NamedTuple):
    request: Deliver
    listener: Listener
    failure: Failure | None


class Recall:
    """``may_answer`` says whether this host still speaks for an actor; ``deliver`` runs a request of
    which the journal knows nothing."""

    def __init__(
        self,
        journal: Journal,
        settings: HostSettings,
        may_answer: Callable[[ActorId], bool],
        deliver: Callable[[Deliver, Asked], None],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._may_answer = may_answer
        self._deliver = deliver
        self._questions: list[_Question] = []
        self._wake = asyncio.Event()

    def doubting(self, request: Deliver, listener: Listener) -> Listener:
        """Stands before ``listener``, and asks when it is given a refusal."""
        return listener if isinstance(listener, _Doubt | Asked) else _Doubt(self, request, listener)

    def ask(self, request: Deliver, listener: Listener, failure: Failure | None = None) -> None:
        """Answer from the journal. What is not in it gets ``failure``, or without one is run."""
        if len(self._questions) >= self._settings.pending_turns_max:
            overloaded = "too many wait for an answer of the journal"
            listener.send(Failure(request.ref, Overloaded.code, overloaded, Overloaded.retryable))
            return
        self._questions.append(_Question(request, listener, failure))
        self._wake.set()

    async def run(self) -> None:
        """All that gathers while the journal is asked goes into the next question."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._questions:
                page = self._questions[: self._settings.turns_per_commit_max]
                del self._questions[: len(page)]
                await self._settle(page)

    async def _settle(self, questions: list[_Question]) -> None:
        wanted = {(q.request.actor, q.request.command_id): None for q in questions}
        try:
            found = await find_replies(self._journal, list(wanted))
        except JournalError as error:
            for request, listener, _ in questions:
                listener.send(Failure(request.ref, Unavailable.code, str(error), Unavailable.retryable))
            return
        for request, listener, failure in questions:
            known = found.get((request.actor, request.command_id))
            if not self._may_answer(request.actor):
                listener.send(Misrouted(request.ref))
            elif known is not None:
                listener.send(_told(request, known))
            elif failure is not None:
                listener.send(failure)
            else:
                self._deliver(request, Asked(listener))


def _told(request: Deliver, known: Found) -> Message:
    if known.turn.fingerprint != fingerprint_of(request.name, bytes(request.data)):
        message = f"the id {request.command_id!r} was used for another command"
        return Failure(request.ref, IdReused.code, message, IdReused.retryable)
    if deferred_to(known.reply) is not None:
        message = "not answered yet; ask again with the same id"
        return Failure(request.ref, Unavailable.code, message, Unavailable.retryable)
    return answer_of(request.ref, known.reply)


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
