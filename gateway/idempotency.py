"""``Idempotency-Key``: from a request's header to the id of the command that it becomes.

Owns the names. A player's key is the command id itself, so that the same key on the socket is the
same command. An administrator's is a name of their own: a command that they give to a player's
session must not meet the player's ids, nor those of another administrator.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Header

from gateway.problems import Problem
from gateway.request_ids import command_id_of_request
from gateway.schema import ID_CHARS_MAX
from runtime.command_ids import INTERNAL

HEADER = "Idempotency-Key"
KEY_REQUIRED = "idempotency_key_required"

Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=ID_CHARS_MAX,
        pattern="^[ -~]+$",
        description=(
            "1 to 64 printable ASCII characters that name this command for ever. The same key with the same "
            "content is the same command, here and as the id of a message on the socket: it has effect once "
            "and gives the same answer. With other content: 409 id_reused."
        ),
    ),
]


# Asynchronous, like every dependency of a request: the others would each cost it a thread.
async def optional_key(key: Key = None) -> str | None:
    """A FastAPI dependency: the request's key, if it has one."""
    return key


async def required_key(key: Key = None) -> str:
    """A FastAPI dependency: the request's key. Without one it answers 400."""
    if key is None:
        detail = f"This moves gold: send an {HEADER}, so that it can be repeated safely."
        raise Problem(HTTPStatus.BAD_REQUEST, KEY_REQUIRED, detail)
    return key


def player_command(key: str | None) -> str:
    """The id of a player's command to their own session."""
    return key if key is not None else command_id_of_request()


def admin_command(admin: str, key: str | None) -> str:
    """The id of an administrator's command to anybody's session; no client can take it in advance."""
    return f"{INTERNAL}admin:{admin}:{player_command(key)}"


def role_command(change: int) -> str:
    """The id under which a session is told of the account's change of role."""
    return f"{INTERNAL}role:{change}"
