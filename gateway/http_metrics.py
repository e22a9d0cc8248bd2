"""ASGI middleware around the whole app: every HTTP request gets a name, is counted and timed.

Owns what a request is counted under. Routes are templates; whatever a client invents is one thing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.counters import Answered, Counters
from gateway.request_ids import HEADER, begin_request

_log = logging.getLogger(__name__)

UNMATCHED = "unmatched"
"""The route of requests for what there is not, and for the documentation."""
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_OTHER = "other"
_PROBLEM = "problem"
_SLOW_S = 1.0
_TURNED_AWAY = (401, 403, 429)


def note_problem(scope: Scope, code: str) -> None:
    """Leave the code of a problem document where this middleware finds it."""
    scope[_PROBLEM] = code


class HttpMetrics:
    """Times end with the head of the answer: streams would say how long their readers stayed."""

    def __init__(
        self, app: ASGIApp, counters: Counters, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._counters = counters
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = begin_request(scope["headers"])
        began_s = self._monotonic()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER.decode()] = name
                self._count(scope, message["status"], self._monotonic() - began_s)
            await send(message)

        await self._app(scope, receive, send_and_count)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route: Any = scope.get("route")
        template: str = getattr(route, "path", UNMATCHED)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        self._counters.request_answered(Answered(method, template, f"{status // 100}xx"), seconds)
        code = scope.get(_PROBLEM)
        if code is not None:
            self._counters.problems[code] += 1
        if status >= 500 or seconds >= _SLOW_S:
            level = logging.WARNING
        else:
            level = logging.INFO if status in _TURNED_AWAY else logging.DEBUG
        if _log.isEnabledFor(level):
            _log.log(
                level,
                "request answered",
                extra={
                    "method": method,
                    "route": template,
                    "status": status,
                    "code": code,
                    "seconds": round(seconds, 4),
                },
            )
