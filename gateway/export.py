"""``GET /api/users/me/export``: everything that is kept about a person, in one document.

Owns the document's shape and its writing, page of the ledger by page, so that no export is ever whole in
memory; and how many are written at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from gateway.admin import INTEGER_MAX, LedgerEntry, LedgerPage, read_record
from gateway.dependencies import BackOffice, GatewayDependencies
from gateway.fanout import session_of
from gateway.openapi import ASKED, CHECKED, JSON, SIGNED_IN, problems, shape_named
from gateway.ports import LedgerPageRecord, PersonalDataRecord
from gateway.problems import Problem
from gateway.questions import ask
from gateway.request_limits import player_of
from gateway.roles import Role
from gateway.tokens import Bearer
from runtime.clock import Clock
from runtime.errors import CommandError

EXPORT_S = 30.0
"""What takes longer ends early, and says where to go on."""
EXPORTS_MAX = 8
"""At once, in one gateway."""
PAGE_ROWS = 2000
_LAST_BYTES_S = 5.0

_encode = msgspec.json.encode


class ExportedAccount(BaseModel):
    user_id: str
    kind: str
    username: str | None
    role: Role
    created_at: datetime.datetime
    banned_at: datetime.datetime | None


class PersonalDataExport(BaseModel):
    """Everything that is kept about a person. Of a password there is a hash, which is not shown."""

    account: ExportedAccount
    birth_date: datetime.date | None
    password_changed_at: datetime.datetime | None
    sign_ins: list[datetime.datetime]
    """Newest first."""
    state: Annotated[dict[str, Any], shape_named("Profile")]
    """The profile, as of this moment."""
    ledger: LedgerPage
    """All of it, but for somebody who has played very much: then ``next_before`` says where to go on."""


class Exports:
    """Those under way in this gateway: one for each user."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self.reading = asyncio.Lock()
        """Of the database's connections they take one, and leave the others to administrators."""

    def begin(self, user_id: str) -> float:
        """The monotonic time, in seconds, at which this export has to be done.

        Raises:
            Problem: 429 ``export_under_way``, or 503 ``overloaded``, with Retry-After.
        """
        now = self._clock.monotonic()
        # By its end each place is free again, whatever became of its reader.
        self._until = {user: until for user, until in self._until.items() if until > now}
        if user_id in self._until:
            raise _later(HTTPStatus.TOO_MANY_REQUESTS, "export_under_way", "Your last export is under way.")
        if len(self._until) >= EXPORTS_MAX:
            raise _later(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Too many exports are under way.")
        until = self._until[user_id] = now + EXPORT_S
        return until

    def end(self, user_id: str, until: float) -> None:
        """``until``: as ``begin`` gave it. It may be a later one's turn already."""
        if self._until.get(user_id) == until:
            del self._until[user_id]


class _BoundedResponse(StreamingResponse):
    """Ends although its reader does not read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXPORT_S + _LAST_BYTES_S):
                await super().__call__(scope, receive, send)


def _later(status: HTTPStatus, code: str, detail: str) -> Problem:
    return Problem(status, code, detail, {"Retry-After": "5"})


def export_routes(dependencies: GatewayDependencies, office: BackOffice) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["player"])
    player = Depends(player_of(dependencies))
    exports = Exports(dependencies.clock)

    async def ledger(user_id: str, before: int | None) -> LedgerPageRecord:
        async with exports.reading:
            return await office.personal_data.ledger(user_id, before, PAGE_ROWS)

    async def pages(user_id: str, page: LedgerPageRecord, head: bytes, until: float) -> AsyncIterator[bytes]:
        """The document: whole JSON, however it ends."""
        try:
            yield head
            yield _entries(page)
            separator = b"," if page.entries else b""
            while page.next_before is not None and (left_s := until - dependencies.clock.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left_s):
                        page = await ledger(user_id, page.next_before)
                except (CommandError, TimeoutError):
                    # It has begun, and cannot become a problem document. What is missing can be asked for.
                    break
                if page.entries:
                    yield separator + _entries(page)
                    separator = b","
            yield b'],"next_before":%s}}' % _encode(page.next_before)
        finally:
            exports.end(user_id, until)

    @router.get(
        "/users/me/export",
        summary="Everything that is kept about you",
        response_class=StreamingResponse,
        responses=problems(SIGNED_IN, ASKED, CHECKED, {404: ["account_unknown"], 429: ["export_under_way"]})
        | {200: {"model": PersonalDataExport}},
    )
    async def export(
        before: Annotated[
            int | None,
            Query(ge=0, le=INTEGER_MAX, description="To go on with the ledger: its next_before"),
        ] = None,
        bearer: Bearer = player,
    ) -> StreamingResponse:
        """One at a time. It ends after 30 seconds at the latest."""
        user_id = bearer.user_id
        until = exports.begin(user_id)
        try:
            kept = await office.personal_data.export(user_id)
            if kept is None:
                raise Problem(HTTPStatus.NOT_FOUND, "account_unknown", "There is no such account.")
            page = await ledger(user_id, before)
            state = await ask(dependencies.router, session_of(user_id), "get_profile", {})
        except BaseException:
            exports.end(user_id, until)
            raise
        return _BoundedResponse(pages(user_id, page, _head(kept, state), until), media_type=JSON)

    return router


def _head(kept: PersonalDataRecord, state: dict[str, Any]) -> bytes:
    """The document up to the first entry of its ledger."""
    empty = PersonalDataExport(
        account=read_record(ExportedAccount, kept.account),
        birth_date=kept.birth_date,
        password_changed_at=kept.password_changed_at,
        sign_ins=list(kept.sign_ins),
        state=state,
        ledger=LedgerPage(user_id=kept.account.user_id, entries=[], next_before=None),
    )
    return empty.model_dump_json().removesuffix('],"next_before":null}}').encode()


def _entries(page: LedgerPageRecord) -> bytes:
    """Without the brackets around them."""
    return _encode([read_record(LedgerEntry, row).model_dump() for row in page.entries])[1:-1]
