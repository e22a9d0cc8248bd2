"""``X-Request-Id``: what an HTTP request is called in its answer and in the logs.

A client may choose it; else it is made here, and then a command without an Idempotency-Key goes by it,
too. One that a client chose never names a command: clients repeat theirs, and commands have effect once.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = b"x-request-id"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered; None on sockets and outside of requests."""

_is_made_here: ContextVar[bool] = ContextVar("is_made_here", default=False)
_MADE_PREFIX = "http-"
_CHOSEN = re.compile(rb"[A-Za-z0-9._~-]{1,64}")


def begin_request(headers: list[tuple[bytes, bytes]]) -> str:
    """Name the request of the current task, by what its client chose if that can be a name."""
    chosen = next((value for name, value in headers if name == HEADER), b"")
    is_made_here = _CHOSEN.fullmatch(chosen) is None
    name = new_command_id() if is_made_here else chosen.decode()
    request_id.set(name)
    _is_made_here.set(is_made_here)
    return name


def new_command_id() -> str:
    """An id that no other command has."""
    return _MADE_PREFIX + secrets.token_hex(16)


def command_id_of_request() -> str:
    """An id for the one command that the request gives: its own name, where that was made here."""
    name = request_id.get()
    return name if name is not None and _is_made_here.get() else new_command_id()
