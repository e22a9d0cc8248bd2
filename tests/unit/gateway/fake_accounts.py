"""Accounts in memory, behind every port that signing in needs. What the ports promise is checked on the
real stores by ``tests/contract``; here is only as much of it as the gateway's tests lean on."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

from runtime.clock import Clock, SystemClock
from runtime.errors import Rejected

EPOCH = datetime(2023, 1, 1, tzinfo=UTC)


@dataclass
class FakeAccount:
    user_id: str
    kind: str = "guest"
    username: str | None = None
    role: str = "STANDARD"
    role_changes: int = 0
    banned_at: datetime | None = None
    ban_reason: str | None = None
    created_at: datetime = EPOCH
    password_hash: str = ""
    birth_date: date | None = None

    @property
    def account(self) -> FakeAccount:
        return self


class Grant(NamedTuple):
    account: FakeAccount
    issued_at: datetime


class Revocation(NamedTuple):
    id: int
    user_id: str
    not_before: datetime
    because: str


@dataclass
class Family:
    user_id: str
    ended: bool = False


@dataclass
class Token:
    family: Family
    expires_s: float
    rotated_s: float | None = None
    successor: bytes = b""


@dataclass
class FakeAccounts:
    clock: Clock = field(default_factory=SystemClock)
    error: Exception | None = None
    """Raised by whatever is asked."""
    accounts: dict[str, FakeAccount] = field(default_factory=dict)
    invites: dict[bytes, int] = field(default_factory=dict)
    """Uses left."""
    tokens: dict[bytes, Token] = field(default_factory=dict)
    attempts: dict[bytes, tuple[int, float]] = field(default_factory=dict)
    revocations: list[Revocation] = field(default_factory=list)
    revoked: int = 0
    """Revocations ever; an id is never given again."""
    asked: Counter[str] = field(default_factory=Counter)
    rotations: int = 0

    @property
    def created(self) -> list[str]:
        return list(self.accounts)

    def add(self, username: str, password_hash: str = "", **changes: object) -> FakeAccount:
        account = FakeAccount(f"u_{username.lower()}", "full", username, password_hash=password_hash)
        for name, value in changes.items():
            setattr(account, name, value)
        self.accounts[account.user_id] = account
        return account

    async def _answers(self, what: str) -> None:
        self.asked[what] += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error

    def _now_s(self) -> float:
        return self.clock.now_ms() / 1000

    # AccountStore, CredentialStore

    async def create_guest(self, user_id: str) -> None:
        await self._answers("create_guest")
        self.accounts[user_id] = FakeAccount(user_id)

    async def account(self, user_id: str) -> FakeAccount | None:
        await self._answers("account")
        return self.accounts.get(user_id)

    async def account_named(self, username: str) -> FakeAccount | None:
        await self._answers("account_named")
        return self._named(username)

    def _named(self, username: str) -> FakeAccount | None:
        named = (each for each in self.accounts.values() if (each.username or "").lower() == username.lower())
        return next(named, None)

    async def sign_up(
        self,
        user_id: str,
        username: str,
        password_hash: str,
        birth_date: date,
        invite_hash: bytes,
        *,
        from_guest: bool,
    ) -> None:
        await self._answers("sign_up")
        if not self.invites.get(invite_hash):
            raise Rejected("no such invite", "invite_invalid")
        if self._named(username) is not None:
            raise Rejected("taken", "username_taken")
        account = self.accounts.get(user_id, FakeAccount(user_id))
        if from_guest and account.kind != "guest":
            raise Rejected("no guest", "not_a_guest")
        self.invites[invite_hash] -= 1
        account.kind, account.username = "full", username
        account.password_hash, account.birth_date = password_hash, birth_date
        self.accounts[user_id] = account

    async def has_uses_left(self, invite_hash: bytes) -> bool:
        await self._answers("has_uses_left")
        return self.invites.get(invite_hash, 0) > 0

    async def credentials(self, username: str) -> FakeAccount | None:
        await self._answers("credentials")
        return self._named(username)

    async def credentials_of(self, user_id: str) -> FakeAccount | None:
        await self._answers("credentials_of")
        account = self.accounts.get(user_id)
        return account if account is not None and account.username is not None else None

    async def change_password(self, user_id: str, old_password_hash: str, password_hash: str) -> None:
        await self._answers("change_password")
        account = self.accounts[user_id]
        if account.password_hash != old_password_hash:
            raise Rejected("changed", "password_changed")
        account.password_hash = password_hash
        self.void(user_id, "password")

    # RefreshTokenStore

    def void(self, user_id: str, because: str) -> None:
        """End all sign-ins of the user, and void the access tokens."""
        for token in self.tokens.values():
            if token.family.user_id == user_id:
                token.family.ended = True
        not_before = datetime.fromtimestamp(int(self._now_s()) + 1, UTC)
        self.revoked += 1
        self.revocations.append(Revocation(self.revoked, user_id, not_before, because))

    def ban(self, user_id: str) -> None:
        self.accounts[user_id].banned_at = EPOCH
        self.void(user_id, "ban")

    def _grant(self, user_id: str) -> Grant:
        account = self.accounts.get(user_id)
        if account is None:
            raise Rejected("no such account", "account_unknown")
        if account.banned_at is not None:
            raise Rejected("banned", "banned")
        voided = [each.not_before.timestamp() for each in self.revocations if each.user_id == user_id]
        return Grant(account, datetime.fromtimestamp(max(int(self._now_s()), *voided, 0), UTC))

    async def open(self, user_id: str, token_hash: bytes, lifetime_s: float) -> Grant:
        await self._answers("open")
        grant = self._grant(user_id)
        self.tokens[token_hash] = Token(Family(user_id), self._now_s() + lifetime_s)
        return grant

    async def rotate(
        self, token_hash: bytes, successor_hash: bytes, lifetime_s: float, grace_s: float
    ) -> Grant:
        await self._answers("rotate")
        token, now = self.tokens.get(token_hash), self._now_s()
        if token is None:
            raise Rejected("unknown", "refresh_invalid")
        if token.family.ended:
            raise Rejected("ended", "refresh_revoked")
        if token.rotated_s is None:
            if now >= token.expires_s:
                raise Rejected("expired", "refresh_expired")
            token.rotated_s, token.successor = now, successor_hash
            self.tokens[successor_hash] = Token(token.family, now + lifetime_s)
            self.rotations += 1
        elif now > token.rotated_s + (
            6 * grace_s if self.tokens[token.successor].rotated_s is None else grace_s
        ):
            self.void(token.family.user_id, "refresh_reused")
            raise Rejected("reused", "refresh_reused")
        assert token.successor == successor_hash
        return self._grant(token.family.user_id)

    async def revoke_family(self, token_hash: bytes) -> None:
        await self._answers("revoke_family")
        token = self.tokens.get(token_hash)
        if token is not None:
            token.family.ended = True

    async def revoke_all(self, user_id: str) -> None:
        await self._answers("revoke_all")
        self.void(user_id, "logout")

    # LoginAttempts, RevocationFeed

    async def count(self, key: bytes, attempts_max: int, window_s: float) -> float | None:
        await self._answers("count")
        now = self._now_s()
        attempts, ends = self.attempts.get(key, (0, 0.0))
        if now >= ends:
            attempts, ends = 0, now + window_s
        self.attempts[key] = (attempts + 1, ends)
        return None if attempts < attempts_max else ends - now

    async def reset(self, key: bytes) -> None:
        await self._answers("reset")
        self.attempts.pop(key, None)

    def _older_than(self, age_s: float) -> list[Revocation]:
        # ``not_before`` is the second after the one in which it was made.
        return [each for each in self.revocations if each.not_before.timestamp() - 1 <= self._now_s() - age_s]

    async def position(self, age_max_s: float) -> int:
        await self._answers("position")
        return max((each.id for each in self._older_than(age_max_s)), default=0)

    async def after(self, last_id: int, age_max_s: float, limit: int) -> list[Revocation]:
        await self._answers("after")
        begin = max(last_id, *(each.id for each in self._older_than(age_max_s)), 0)
        return [each for each in self.revocations if each.id > begin][:limit]

    async def forget(self, age_s: float, limit: int) -> int:
        await self._answers("forget")
        gone = len(self._older_than(age_s)[:limit])
        del self.revocations[:gone]
        return gone
