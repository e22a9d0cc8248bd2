"""What it means over HTTP when a store of accounts says no to whoever wants to come in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http import HTTPStatus

from gateway.problems import Problem
from runtime.errors import Rejected

_STATUSES = {
    "account_unknown": HTTPStatus.UNAUTHORIZED,
    "banned": HTTPStatus.FORBIDDEN,
    "invalid_data": HTTPStatus.UNPROCESSABLE_ENTITY,
    "invite_invalid": HTTPStatus.FORBIDDEN,
    "refresh_expired": HTTPStatus.UNAUTHORIZED,
    "refresh_invalid": HTTPStatus.UNAUTHORIZED,
    "refresh_reused": HTTPStatus.UNAUTHORIZED,
    "refresh_revoked": HTTPStatus.UNAUTHORIZED,
}
"""What is not here is a rule that says no: 409."""


@contextlib.contextmanager
def refusals_as_problems() -> Iterator[None]:
    """Let a store's ``Rejected`` leave the block as the problem document that it means."""
    try:
        yield
    except Rejected as error:
        status = _STATUSES.get(error.code, HTTPStatus.CONFLICT)
        headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
        raise Problem(status, error.code, error.message, headers) from None
