"""The back office in memory, over the accounts of ``fake_accounts``: as much of the ports' promises as the
gateway's tests lean on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from gateway.dependencies import BackOffice
from runtime.errors import IdReused, Rejected
from tests.unit.gateway.fake_accounts import EPOCH, FakeAccount, FakeAccounts


class Audited(NamedTuple):
    id: int
    at: datetime
    admin: str
    action: str
    target: str
    details: dict[str, Any]
    reason: str


class Moved(NamedTuple):
    turn: int
    index: int
    at: datetime
    amount: int
    other_account: str
    reason: str


class Page(NamedTuple):
    entries: list[Moved]
    next_before: int | None


class Changed(NamedTuple):
    role: str
    change: int


class Invited(NamedTuple):
    label: str
    uses_max: int
    uses: int
    expires_at: datetime | None
    created_by: str
    created_at: datetime


class Kept(NamedTuple):
    account: FakeAccount
    birth_date: date | None
    password_changed_at: datetime | None
    sign_ins: list[datetime]


@dataclass
class FakeOffice:
    accounts: FakeAccounts
    rows: list[Audited] = field(default_factory=list)
    moved: dict[str, list[Moved]] = field(default_factory=dict)
    """Newest first."""
    rows_max: int = 1000
    """Of a page, whatever is asked for: as when a page may look at no more turns."""
    empty_page_ends: int | None = None
    """Where a page ends that found nothing."""
    has_opened: Callable[[str], bool] = lambda user_id: False
    invites: list[bytes] = field(default_factory=list)
    error: Exception | None = None
    """Raised by whoever reads their own ledger."""
    done: dict[tuple[str, str], tuple[Any, Any]] = field(default_factory=dict)

    @property
    def ports(self) -> BackOffice:
        return BackOffice(self, self, _Invites(self), self._log, _Personal(self), b"i" * 32)

    @property
    def _log(self) -> _Log:
        return _Log(self)

    def write(self, admin: str, action: str, target: str, reason: str = "", **details: Any) -> None:
        self.rows.append(Audited(len(self.rows) + 1, EPOCH, admin, action, target, details, reason))

    def once(self, by: str, command_id: str, content: Any, answer: Any) -> tuple[bool, Any]:
        """Whether it is new, and its answer."""
        known = self.done.get((by, command_id))
        if known is not None:
            if known[0] != content:
                raise IdReused("used for something else")
            return False, known[1]
        self.done[by, command_id] = (content, answer)
        return True, answer

    def known(self, user_id: str) -> FakeAccount:
        account = self.accounts.accounts.get(user_id)
        if account is None:
            raise Rejected("no such account", "account_unknown")
        return account

    # Administration

    async def ban(self, user_id: str, by: str, reason: str, command_id: str) -> None:
        account = self.known(user_id)
        if self.once(by, command_id, ("ban", user_id, reason), None)[0]:
            self.accounts.ban(user_id)
            account.ban_reason = reason
            self.write(by, "ban", user_id, reason)

    async def unban(self, user_id: str, by: str, reason: str, command_id: str) -> None:
        account = self.known(user_id)
        if self.once(by, command_id, ("unban", user_id, reason), None)[0]:
            account.banned_at = account.ban_reason = None
            self.write(by, "unban", user_id, reason)

    async def change_role(self, user_id: str, role: str, by: str, reason: str, command_id: str) -> Changed:
        account = self.known(user_id)
        change = account.role_changes + (account.role != role)
        new, answer = self.once(by, command_id, ("role", user_id, role, reason), Changed(role, change))
        if new:
            account.role, account.role_changes = role, change
            self.write(by, "role", user_id, reason, role=role)
        return Changed(*answer)

    async def create_admin(self, *arguments: Any) -> None:
        raise NotImplementedError

    # PlayerDirectory

    async def find(self, by: str, *, username: str | None, user_id: str | None) -> list[FakeAccount]:
        found = [
            account
            for account in self.accounts.accounts.values()
            if (username is None or (account.username or "").lower() == username.lower())
            and (user_id is None or account.user_id == user_id)
        ]
        self.write(by, "players_found", " ".join(account.user_id for account in found))
        return found

    async def account(self, by: str, user_id: str) -> FakeAccount | None:
        self.write(by, "player_read", user_id)
        return self.accounts.accounts.get(user_id)

    async def has_session(self, user_id: str) -> bool:
        return self.has_opened(user_id)

    async def ledger(self, by: str, user_id: str, before: int | None, limit: int) -> Page:
        self.write(by, "ledger_read", user_id)
        return self.page(user_id, before, limit)

    def page(self, user_id: str, before: int | None, limit: int) -> Page:
        left = [row for row in self.moved.get(user_id, []) if before is None or row.turn < before]
        rows = left[: min(limit, self.rows_max)]
        if not rows:
            return Page(rows, self.empty_page_ends)
        return Page(rows, rows[-1].turn if len(rows) < len(left) else None)


@dataclass
class _Invites:
    office: FakeOffice

    async def create(
        self,
        code_hash: bytes,
        uses_max: int,
        expires_at: datetime | None,
        label: str,
        by: str,
        command_id: str,
    ) -> Invited:
        content = (code_hash, uses_max, expires_at, label)
        invite = Invited(label, uses_max, 0, expires_at, by, EPOCH)
        new, answer = self.office.once(by, command_id, content, invite)
        if new:
            self.office.invites.append(code_hash)
            self.office.accounts.invites[code_hash] = uses_max
            self.office.write(by, "invite_made", "")
        return Invited(*answer)


@dataclass
class _Log:
    office: FakeOffice

    async def append(
        self, admin: str, action: str, target: str, details: Mapping[str, Any], reason: str
    ) -> None:
        self.office.write(admin, action, target, reason, **details)

    async def read(self, by: str, before: int | None, limit: int) -> list[Audited]:
        rows = [row for row in reversed(self.office.rows) if before is None or row.id < before][:limit]
        self.office.write(by, "audit_read", "")
        return rows


@dataclass
class _Personal:
    office: FakeOffice

    async def export(self, user_id: str) -> Kept | None:
        account = self.office.accounts.accounts.get(user_id)
        if account is None:
            return None
        return Kept(account, account.birth_date, EPOCH, [datetime(2024, 1, 1, tzinfo=UTC), EPOCH])

    async def ledger(self, user_id: str, before: int | None, limit: int) -> Page:
        if self.office.error is not None:
            raise self.office.error
        return self.office.page(user_id, before, limit)

    async def erase(self, user_id: str) -> None:
        account = self.office.known(user_id)
        account.kind, account.username, account.birth_date = "erased", None, None
        self.office.accounts.void(user_id, "erased")
