"""REST of administration: finding players, their accounts, state and ledger; gold, bans, roles, invites.

Owns the routes and the shapes of their answers. Each call leaves its row in the audit log, in the
transaction that does what it does: written by the store, or, where gold moves, by the database
itself with the turn of the player's session.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.dependencies import BackOffice, GatewayDependencies
from gateway.fanout import session_of
from gateway.idempotency import admin_command, optional_key, required_key
from gateway.invites import invite_code, invite_hash
from gateway.openapi import (
    ADMINISTRATORS,
    ASKED,
    CHECKED,
    REQUIRES_KEY,
    SIGNED_IN,
    problems,
    refusals,
    shape_named,
)
from gateway.ports import AccountStore
from gateway.problems import Problem, status_of
from gateway.questions import ask
from gateway.request_limits import player_of
from gateway.role_changes import tell_session
from gateway.roles import Role
from gateway.tokens import Bearer

USER_ID_PATTERN = "^[A-Za-z0-9._~-]{1,64}$"
ROWS_MAX = 100
INTEGER_MAX = 2**53 - 1
_GOLD_MAX = 10**12
_INVITE_LABEL_CHARS_MAX = 100

UserId = Annotated[str, InPath(pattern=USER_ID_PATTERN, examples=["u_mfrggzdfmztwq2lknnwg23tpob"])]
# No control characters: both become text in the database.
Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern="^[^\\x00-\\x1f\\x7f]+$",
        description=(
            "For the audit log, which is for ever: no personal data. With gold it stands in the ledger, too, "
            "which the player can export"
        ),
        examples=["compensation for the outage of 1 March"],
    ),
]
Before = Annotated[int | None, Query(ge=0, le=INTEGER_MAX, description="Cursor of the page before this one")]
Rows = Annotated[int, Query(ge=1, le=ROWS_MAX)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Justified(_Form):
    reason: Reason


class GoldAdjustment(Justified):
    amount: int = Field(
        ge=-_GOLD_MAX,
        le=_GOLD_MAX,
        description="Gold to give; to take, when negative. Not 0.",
        examples=[500],
    )


class RoleChange(Justified):
    # Strict mode takes no text for an enum.
    role: Role = Field(strict=False)


class NewInvite(_Form):
    uses_max: int = Field(default=1, ge=1, le=100_000, description="How many may sign up with it")
    # Years that every time zone can express.
    expires_at: AwareDatetime | None = Field(
        default=None,
        strict=False,
        ge=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
        le=datetime.datetime(9000, 1, 1, tzinfo=datetime.UTC),
        examples=["2030-01-01T00:00:00Z"],
    )
    label: str = Field(
        default="",
        max_length=_INVITE_LABEL_CHARS_MAX,
        pattern="^[^\\x00-\\x1f\\x7f]*$",
        description="For administrators",
    )


class PlayerAccount(BaseModel):
    user_id: str
    kind: Literal["guest", "full", "erased"]
    username: str | None
    role: Role
    role_changes: int
    banned_at: datetime.datetime | None
    ban_reason: str | None
    created_at: datetime.datetime


class FoundPlayers(BaseModel):
    players: list[PlayerAccount]


class PlayerDetails(BaseModel):
    account: PlayerAccount
    state: Annotated[dict[str, Any], shape_named("Dashboard")] | None
    """As the player's own dashboard, at this moment. Null for whoever has not begun to play."""


class LedgerEntry(BaseModel):
    turn: int
    index: int = Field(description="Within the turn, from 0")
    at: datetime.datetime
    amount: int = Field(description="Gold: more than 0 came in, less than 0 went out")
    other_account: str
    reason: str


class LedgerPage(BaseModel):
    user_id: str
    entries: list[LedgerEntry]
    """Newest turn first. A turn is never cut in two: there may be a few more than asked for. There may be
    fewer, or none, and others on the next page: a page looks at so many turns, which need not move gold."""
    next_before: int | None
    """``before`` of the next page; null when there is none."""


class GoldAdjusted(BaseModel):
    user_id: str
    amount: int
    gold_balance: int


class BanChanged(BaseModel):
    user_id: str
    banned: bool


class RoleChanged(BaseModel):
    user_id: str
    role: Role
    change: int


class Invite(BaseModel):
    code: str = Field(description="Shown only now; a repeat under the same key shows it again")
    uses_max: int
    uses: int
    expires_at: datetime.datetime | None
    label: str
    created_at: datetime.datetime


class AuditEntry(BaseModel):
    id: int
    at: datetime.datetime
    admin: str
    action: str
    target: str
    details: dict[str, Any]
    reason: str


class AuditPage(BaseModel):
    entries: list[AuditEntry]
    """Newest first."""
    next_before: int | None


_COMMON = (SIGNED_IN, ADMINISTRATORS, ASKED, CHECKED)
_UNKNOWN = {404: ["account_unknown"]}
_WRITE = {409: ["id_reused"]}
_KEY_NEEDED = {400: ["idempotency_key_required", "invalid_request"]}
_OWN_ACCOUNT = {409: ["own_account"]}


def admin_routes(dependencies: GatewayDependencies, office: BackOffice) -> APIRouter:
    router = APIRouter(prefix="/api/admin", tags=["administration"])
    _add_readings(router, dependencies, office)
    _add_changes(router, dependencies, office)
    return router


def administrator_of(dependencies: GatewayDependencies) -> Callable[..., Awaitable[Bearer]]:
    """A FastAPI dependency: the administrator whom the request's token names, counted.

    Refuses as ``gateway.request_limits.player_of``, and as ``refuse_while_deaf``.
    """

    async def administrator(bearer: Bearer = Depends(player_of(dependencies, Role.ADMIN))) -> Bearer:
        refuse_while_deaf(dependencies)
        return bearer

    return administrator


def refuse_while_deaf(dependencies: GatewayDependencies) -> None:
    """Whoever was an administrator when this gateway last heard need not be one now.

    Raises:
        Problem: 503 ``unavailable``, with Retry-After: revocations could not be read for too long.
    """
    if dependencies.tokens.revocations.is_stale:
        detail = "This gateway cannot hear who was signed out. Try again."
        raise Problem(status_of("unavailable", True), "unavailable", detail, {"Retry-After": "1"})


def _add_readings(router: APIRouter, dependencies: GatewayDependencies, office: BackOffice) -> None:
    admin = Depends(administrator_of(dependencies))

    @router.get("/players", summary="Find players", responses=problems(*_COMMON))
    async def find_players(
        username: Annotated[str | None, Query(pattern="^[A-Za-z0-9_.-]{3,32}$")] = None,
        user_id: Annotated[str | None, Query(pattern=USER_ID_PATTERN)] = None,
        bearer: Bearer = admin,
    ) -> FoundPlayers:
        """By whole name, ignoring case, or by user id: one of them must be given."""
        if username is None and user_id is None:
            raise Problem(status_of("invalid_data"), "invalid_data", "Give a username or a user_id.")
        found = await office.players.find(bearer.user_id, username=username, user_id=user_id)
        return FoundPlayers(players=[read_record(PlayerAccount, account) for account in found])

    @router.get("/players/{user_id}", summary="A player", responses=problems(*_COMMON, _UNKNOWN))
    async def get_player(user_id: UserId, bearer: Bearer = admin) -> PlayerDetails:
        account = await office.players.account(bearer.user_id, user_id)
        if account is None:
            raise _unknown()
        state = None
        # Whoever asks a session that was never opened opens it.
        if await office.players.has_session(user_id):
            state = await ask(dependencies.router, session_of(user_id), "get_dashboard", {})
        return PlayerDetails(account=read_record(PlayerAccount, account), state=state)

    @router.get(
        "/players/{user_id}/ledger", summary="A player's gold", responses=problems(*_COMMON, _UNKNOWN)
    )
    async def get_ledger(
        user_id: UserId, before: Before = None, limit: Rows = 50, bearer: Bearer = admin
    ) -> LedgerPage:
        page = await office.players.ledger(bearer.user_id, user_id, before, limit)
        if not page.entries and await dependencies.accounts.account(user_id) is None:
            raise _unknown()
        return LedgerPage(
            user_id=user_id,
            entries=[read_record(LedgerEntry, row) for row in page.entries],
            next_before=page.next_before,
        )

    @router.get("/audit", summary="The audit log", responses=problems(*_COMMON))
    async def read_audit(before: Before = None, limit: Rows = 50, bearer: Bearer = admin) -> AuditPage:
        rows = await office.audit_log.read(bearer.user_id, before, limit)
        entries = [read_record(AuditEntry, row) for row in rows]
        return AuditPage(entries=entries, next_before=rows[-1].id if len(rows) >= limit else None)


def _add_changes(router: APIRouter, dependencies: GatewayDependencies, office: BackOffice) -> None:
    admin = Depends(administrator_of(dependencies))
    key_or_none = Depends(optional_key)

    @router.post(
        "/players/{user_id}/gold",
        summary="Give gold to a player, or take it",
        responses=problems(
            *_COMMON,
            _UNKNOWN,
            _KEY_NEEDED,
            refusals(_errors(dependencies, "adjust_gold")),
        ),
        openapi_extra={REQUIRES_KEY: True},
    )
    async def adjust_gold(
        user_id: UserId,
        form: GoldAdjustment,
        bearer: Bearer = admin,
        key: str = Depends(required_key),
    ) -> GoldAdjusted:
        """Never below zero. The player sees the new balance at once."""
        # Whoever asks an unknown session opens it.
        await _must_be_known(dependencies.accounts, user_id)
        data = {"amount": form.amount, "reason": form.reason, "by": bearer.user_id}
        command_id = admin_command(bearer.user_id, key)
        done = await ask(dependencies.router, session_of(user_id), "adjust_gold", data, command_id)
        return GoldAdjusted(user_id=user_id, **done)

    @router.post(
        "/players/{user_id}/ban",
        summary="Ban a player",
        responses=problems(*_COMMON, _UNKNOWN, _WRITE, _OWN_ACCOUNT),
    )
    async def ban(
        user_id: UserId, form: Justified, bearer: Bearer = admin, key: str | None = key_or_none
    ) -> BanChanged:
        """Signs them out everywhere, closes their sockets within a second, and lets them in no more."""
        _must_be_another(bearer, user_id)
        await office.administration.ban(user_id, bearer.user_id, form.reason, _command_id(key))
        return BanChanged(user_id=user_id, banned=True)

    @router.post(
        "/players/{user_id}/unban",
        summary="Lift a player's ban",
        responses=problems(*_COMMON, _UNKNOWN, _WRITE),
    )
    async def unban(
        user_id: UserId, form: Justified, bearer: Bearer = admin, key: str | None = key_or_none
    ) -> BanChanged:
        await office.administration.unban(user_id, bearer.user_id, form.reason, _command_id(key))
        return BanChanged(user_id=user_id, banned=False)

    @router.post(
        "/players/{user_id}/role",
        summary="Change a player's role",
        responses=problems(*_COMMON, _UNKNOWN, _WRITE, _OWN_ACCOUNT),
    )
    async def change_role(
        user_id: UserId, form: RoleChange, bearer: Bearer = admin, key: str | None = key_or_none
    ) -> RoleChanged:
        """Their access tokens are void from now on; the next ones, and the tables, know the new role."""
        _must_be_another(bearer, user_id)
        changed = await office.administration.change_role(
            user_id, form.role.value, bearer.user_id, form.reason, _command_id(key)
        )
        await tell_session(dependencies.router, user_id, changed.role, changed.change)
        return RoleChanged(user_id=user_id, role=Role(changed.role), change=changed.change)

    @router.post(
        "/invites",
        status_code=HTTPStatus.CREATED,
        summary="Make an invite code",
        responses=problems(*_COMMON, _WRITE),
    )
    async def create_invite(form: NewInvite, bearer: Bearer = admin, key: str | None = key_or_none) -> Invite:
        command_id = _command_id(key)
        code = invite_code(office.invite_key, bearer.user_id, command_id)
        made = await office.invites.create(
            invite_hash(code), form.uses_max, form.expires_at, form.label, bearer.user_id, command_id
        )
        return Invite(
            code=code,
            uses_max=made.uses_max,
            uses=made.uses,
            expires_at=made.expires_at,
            label=made.label,
            created_at=made.created_at,
        )


def _command_id(key: str | None) -> str:
    return key if key is not None else f"http-{secrets.token_hex(16)}"


def _errors(dependencies: GatewayDependencies, command: str) -> tuple[str, ...]:
    spec = dependencies.catalogue.get(command)
    return spec.errors if spec is not None else ()


async def _must_be_known(accounts: AccountStore, user_id: str) -> None:
    account = await accounts.account(user_id)
    if account is None or account.kind == "erased":
        raise _unknown()


def _must_be_another(bearer: Bearer, user_id: str) -> None:
    # Else the last administrator could lock everybody out of the office, themselves included.
    if user_id == bearer.user_id:
        detail = "Another administrator must do this to your own account."
        raise Problem(HTTPStatus.CONFLICT, "own_account", detail)


def _unknown() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "account_unknown", "There is no such account.")


_T = TypeVar("_T", bound=BaseModel)


def read_record(shape: type[_T], record: Any) -> _T:
    """A record as the shape that shows it: the fields have the same names."""
    return shape(**{name: getattr(record, name) for name in shape.model_fields})
