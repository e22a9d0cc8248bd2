"""Questions that HTTP routes put to actors: one command, and its answer or a problem document.

Owns the translation of failures, and short-lived answers for questions that anybody may ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from gateway.problems import Problem, status_of
from gateway.request_ids import new_command_id
from runtime.clock import Clock
from runtime.identity import ActorId
from runtime.routing import ActorRouter
from runtime.stream import Failure, Result

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


async def ask(
    router: ActorRouter,
    actor: ActorId,
    name: str,
    data: Mapping[str, Any] | bytes,
    command_id: str | None = None,
) -> dict[str, Any]:
    """The result of a command, as a map. See ``result_of``."""
    result: dict[str, Any] = _decode(await result_of(router, actor, name, data, command_id))
    return result


async def result_of(
    router: ActorRouter,
    actor: ActorId,
    name: str,
    data: Mapping[str, Any] | bytes,
    command_id: str | None = None,
) -> msgspec.Raw:
    """The result of a command, in MessagePack.

    ``data`` as a map, or encoded already. ``command_id`` makes it the same command however often it
    is given; None: one of its own.

    Raises:
        Problem: 503 when asking again may help, 422, 404 or 409 when the actor refuses, 500 for a defect.
    """
    answered: asyncio.Future[Result | Failure] = asyncio.get_running_loop().create_future()
    if command_id is None:
        command_id = new_command_id()
    encoded = data if isinstance(data, bytes) else _encode(data)
    router.submit(actor, command_id, name, encoded, partial(_settle, answered))
    outcome = await answered
    if isinstance(outcome, Result):
        return outcome.data
    headers = {"Retry-After": "1"} if outcome.retryable else None
    raise Problem(status_of(outcome.code, outcome.retryable), outcome.code, outcome.message, headers)


def _settle(answered: asyncio.Future[Result | Failure], outcome: Result | Failure) -> None:
    # Cancelled when the client hung up.
    if not answered.done():
        answered.set_result(outcome)


class SharedAnswers:
    """Answers, refusals too, that everybody shares for ``kept_s`` seconds.

    However many ask, an actor is asked once in that time, and once at a time. Grows with the
    number of different questions: the caller bounds those.
    """

    def __init__(self, router: ActorRouter, clock: Clock, kept_s: float) -> None:
        self._router = router
        self._clock = clock
        self._kept_s = kept_s
        self._asked: dict[tuple[ActorId, str], _Asked] = {}

    async def ask(self, actor: ActorId, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """See ``ask``. ``data`` must be the same whenever ``name`` is. Do not change the answer."""
        asked = self._asked.get((actor, name))
        if asked is None or (asked.good_until is not None and self._clock.monotonic() >= asked.good_until):
            asked = self._asked[actor, name] = _Asked(ask(self._router, actor, name, data))
            asked.task.add_done_callback(partial(self._done, asked))
        # One reader that hangs up must not take the answer from the others.
        return await asyncio.shield(asked.task)

    def _done(self, asked: _Asked, task: asyncio.Task[dict[str, Any]]) -> None:
        asked.good_until = self._clock.monotonic() + self._kept_s
        if not task.cancelled():
            task.exception()  # Nobody may be left to see it, which is no defect.


class _Asked:
    __slots__ = ("good_until", "task")

    def __init__(self, question: Any) -> None:
        self.task: asyncio.Task[dict[str, Any]] = asyncio.ensure_future(question)
        self.good_until: float | None = None
        """Monotonic seconds; None while it is not answered."""
