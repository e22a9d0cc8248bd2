"""What the gateway needs from outside and the wiring provides. Interfaces only.

Records are described by what can be read from them, so that whoever provides them needs no import
from here. No secret passes through a port: passwords come as Argon2 hashes, refresh tokens, invite
codes and the names that logins are counted under as SHA-256 digests of 32 bytes.

Every method may raise ``runtime.errors.Unavailable`` (the database cannot be reached in time; the call
may have taken effect, and may be repeated with the same arguments), and ``Rejected`` with the code
``invalid_data`` for a text that cannot be stored (a NUL, a lone surrogate). Other errors are
``runtime.errors.Rejected`` too, with the codes that each method names. Times are the database's, in UTC.
"""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

ReadinessCheck = Callable[[], Awaitable[str | None]]
"""None when all is well, else the reason why this gateway should get no traffic."""


class StatusReader(Protocol):
    """A board where every process of the house says each second how it is."""

    async def read(self) -> Mapping[str, Mapping[str, Any]]:
        """What each said last, by its name: numbers, with ``kind`` and ``at_ms`` (wall clock). Those that
        have been silent for a while are left out. Raises ``runtime.errors.Unavailable``."""
        ...


class RateLimiter(Protocol):
    async def allow(self, key: str) -> float | None:
        """Count one use of ``key``. None when allowed, else the seconds until it is worth trying."""
        ...


# Records ------------------------------------------------------------------------------------


class AccountRecord(Protocol):
    @property
    def user_id(self) -> str: ...
    @property
    def kind(self) -> str:
        """``guest``, ``full`` or ``erased``."""
        ...

    @property
    def username(self) -> str | None:
        """As it was typed at sign-up; only full accounts have one."""
        ...

    @property
    def role(self) -> str:
        """``STANDARD``, ``PREMIUM``, ``VIP`` or ``ADMIN``."""
        ...

    @property
    def role_changes(self) -> int:
        """How often the role was changed: the number of the last change, 0 for none."""
        ...

    @property
    def banned_at(self) -> datetime.datetime | None: ...
    @property
    def ban_reason(self) -> str | None: ...
    @property
    def created_at(self) -> datetime.datetime: ...


class CredentialsRecord(Protocol):
    @property
    def account(self) -> AccountRecord: ...
    @property
    def password_hash(self) -> str: ...


class GrantRecord(Protocol):
    """Leave to issue one access token, as of the moment at which a refresh token was made or used."""

    @property
    def account(self) -> AccountRecord: ...
    @property
    def issued_at(self) -> datetime.datetime:
        """The access token's ``iat``, in whole seconds. Take it and not the gateway's clock: every later
        revocation voids the token, no earlier one does. It may be a second or two ahead."""
        ...


class RoleChangeRecord(Protocol):
    @property
    def role(self) -> str: ...
    @property
    def change(self) -> int:
        """The account's ``role_changes`` after it: what the session is told under the id
        ``gateway.idempotency.role_command(change)``."""
        ...


class InviteRecord(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def uses_max(self) -> int: ...
    @property
    def uses(self) -> int: ...
    @property
    def expires_at(self) -> datetime.datetime | None: ...
    @property
    def created_by(self) -> str: ...
    @property
    def created_at(self) -> datetime.datetime: ...


class RevocationRecord(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def user_id(self) -> str: ...
    @property
    def not_before(self) -> datetime.datetime:
        """Whole seconds. Access tokens of the user with a smaller ``iat`` are void."""
        ...

    @property
    def because(self) -> str:
        """``ban``, ``role``, ``password``, ``logout``, ``refresh_reused`` or ``erased``."""
        ...


class AuditRecord(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def at(self) -> datetime.datetime: ...
    @property
    def admin(self) -> str:
        """Who did it: a user id, or ``cli`` for the operator's command line."""
        ...

    @property
    def action(self) -> str: ...
    @property
    def target(self) -> str:
        """What it was done to: usually a user id; may be empty."""
        ...

    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def reason(self) -> str: ...


class LedgerRecord(Protocol):
    """One transfer into or out of a player's account."""

    @property
    def turn(self) -> int:
        """The session's turn it belongs to; the cursor for older ones."""
        ...

    @property
    def index(self) -> int:
        """Within the turn, from 0."""
        ...

    @property
    def at(self) -> datetime.datetime: ...
    @property
    def amount(self) -> int:
        """Gold: more than 0 came in, less than 0 went out."""
        ...

    @property
    def other_account(self) -> str:
        """Where it came from or went to, e.g. ``house:slots``."""
        ...

    @property
    def reason(self) -> str: ...


class LedgerPageRecord(Protocol):
    @property
    def entries(self) -> Sequence[LedgerRecord]:
        """Newest turn first. A turn is never cut in two, so there may be a few more than were asked for;
        and fewer, even none, with older ones still to come: a page looks at so many turns and no more."""
        ...

    @property
    def next_before(self) -> int | None:
        """``before`` of the next page; None when every turn was looked at."""
        ...


class PersonalDataRecord(Protocol):
    """What is kept about a person, apart from their games."""

    @property
    def account(self) -> AccountRecord: ...
    @property
    def birth_date(self) -> datetime.date | None: ...
    @property
    def password_changed_at(self) -> datetime.datetime | None: ...
    @property
    def sign_ins(self) -> Sequence[datetime.datetime]:
        """When each refresh family was begun, newest first, as far back as they are kept."""
        ...


# Who may enter ------------------------------------------------------------------------------


class AccountStore(Protocol):
    async def create_guest(self, user_id: str) -> None:
        """Make a guest account durable. Raises ``runtime.errors.CommandError`` when it cannot."""
        ...

    async def account(self, user_id: str) -> AccountRecord | None: ...

    async def account_named(self, username: str) -> AccountRecord | None:
        """By user name, ignoring case."""
        ...


class CredentialStore(Protocol):
    """Full accounts: their names and passwords."""

    async def sign_up(
        self,
        user_id: str,
        username: str,
        password_hash: str,
        birth_date: datetime.date,
        invite_hash: bytes,
        *,
        from_guest: bool,
    ) -> None:
        """Make a full account and take one use of the invite, together or not at all. ``from_guest``:
        the account ``user_id`` is there as a guest's and becomes the full one. Repeated with the same
        ``user_id`` and ``password_hash`` it changes nothing and succeeds.

        Age and the form of user name and password are the caller's business.

        Raises:
            Rejected: ``invite_invalid`` (unknown, used up, expired or revoked; is found out first, so
                that without an invite nobody learns which names there are), ``username_taken``,
                ``not_a_guest``, ``banned``.
        """
        ...

    async def has_uses_left(self, invite_hash: bytes) -> bool:
        """Whether ``sign_up`` would take this invite at the moment. Changes nothing, promises nothing."""
        ...

    async def credentials(self, username: str) -> CredentialsRecord | None:
        """For a login. By user name, ignoring case; None when nobody has it. Banned accounts are found,
        too: whether somebody is banned is for those to know who know the password."""
        ...

    async def credentials_of(self, user_id: str) -> CredentialsRecord | None: ...

    async def change_password(self, user_id: str, old_password_hash: str, password_hash: str) -> None:
        """Replace the password, end all refresh families and void all access tokens of the user, and
        leave an audit row: together. Open a new family after it.

        Raises:
            Rejected: ``password_changed`` when ``old_password_hash`` is not the one that is stored (any
                more), so that of two at once one wins.
        """
        ...


class RefreshTokenStore(Protocol):
    """Families of refresh tokens: a sign-in begins one, each use of a token adds its successor."""

    async def open(self, user_id: str, token_hash: bytes, lifetime_s: float) -> GrantRecord:
        """Begin a family with this token. May be repeated with the same token.

        Raises:
            Rejected: ``account_unknown`` (none, or erased), ``banned``.
        """
        ...

    async def rotate(
        self, token_hash: bytes, successor_hash: bytes, lifetime_s: float, grace_s: float
    ) -> GrantRecord:
        """Exchange a token for its successor, once however often it is asked for at the same time. Within
        ``grace_s`` of that it is granted again, to the same successor, and for six times as long while
        the successor was not used. After that it ends the whole family and voids the user's access tokens.

        Raises:
            Rejected: ``refresh_invalid`` (unknown), ``refresh_expired``, ``refresh_revoked`` (its family
                was ended), ``refresh_reused``, ``banned``.
        """
        ...

    async def revoke_family(self, token_hash: bytes) -> None:
        """Log out: end the family of this token, whichever of its tokens it is. Unknown ones are fine.
        Access tokens stay good until they expire."""
        ...

    async def revoke_all(self, user_id: str) -> None:
        """Log out everywhere: end all families of the user and void all their access tokens."""
        ...


class LoginAttempts(Protocol):
    async def count(self, key: bytes, attempts_max: int, window_s: float) -> float | None:
        """Count one attempt within the window that begins with its first one. None when it is among
        the first ``attempts_max``, else the seconds until the window ends. Atomic.

        An attempt whose answer was lost may be counted twice."""
        ...

    async def reset(self, key: bytes) -> None:
        """After a success: the next attempt is the first."""
        ...


class RevocationFeed(Protocol):
    async def position(self, age_max_s: float) -> int:
        """The id after which everything younger than ``age_max_s`` is found: that of the newest
        revocation, when none is as young."""
        ...

    async def after(self, last_id: int, age_max_s: float, limit: int) -> Sequence[RevocationRecord]:
        """The next revocations by id, without those older than ``age_max_s``. Complete: once an id was
        given, no smaller one will ever appear."""
        ...

    async def forget(self, age_s: float, limit: int) -> int:
        """Delete revocations older than ``age_s``, oldest first, at most ``limit``. How many it were."""
        ...


# Administration -----------------------------------------------------------------------------
#
# ``by`` is the user id of the administrator who asks, or ``cli``. Each method writes its audit row in the
# transaction in which it does what it does. ``command_id`` is the Idempotency-Key, or any fresh id: a
# repeat by the same administrator with the same content changes nothing, adds no row and answers as the
# first did; with other content it raises ``runtime.errors.IdReused``.


class Administration(Protocol):
    async def ban(self, user_id: str, by: str, reason: str, command_id: str) -> None:
        """Also ends all refresh families and voids all access tokens.

        Raises:
            Rejected: ``account_unknown``.
        """
        ...

    async def unban(self, user_id: str, by: str, reason: str, command_id: str) -> None:
        """Raises:
        Rejected: ``account_unknown``.
        """
        ...

    async def change_role(
        self, user_id: str, role: str, by: str, reason: str, command_id: str
    ) -> RoleChangeRecord:
        """Also voids all access tokens. Refresh tokens stay good and give tokens with the new role.
        The same role again is no change, and leaves only its audit row.

        Raises:
            Rejected: ``account_unknown``.
        """
        ...

    async def create_admin(
        self, user_id: str, username: str, password_hash: str, by: str, command_id: str
    ) -> None:
        """A full account with the role ADMIN, without invite and birth date.

        Raises:
            Rejected: ``username_taken``.
        """
        ...


class InviteStore(Protocol):
    async def create(
        self,
        code_hash: bytes,
        uses_max: int,
        expires_at: datetime.datetime | None,
        label: str,
        by: str,
        command_id: str,
    ) -> InviteRecord:
        """Make an invite. To answer a repeat with the same code, derive the code from ``by`` and
        ``command_id`` with a key of the house: another ``code_hash`` counts as other content."""
        ...


class PlayerDirectory(Protocol):
    """What administrators read about players; each reading leaves its audit row."""

    async def find(self, by: str, *, username: str | None, user_id: str | None) -> Sequence[AccountRecord]:
        """Accounts with this name (whole, ignoring case) and this user id; at least one must be given.
        The audit row names whom it found, and not the name that was looked for: it outlives an erasure.
        """
        ...

    async def account(self, by: str, user_id: str) -> AccountRecord | None: ...

    async def has_session(self, user_id: str) -> bool:
        """Whether the player's session was ever opened. Whoever asks one that was not opens it, with gold
        and a journal. No audit row."""
        ...

    async def ledger(self, by: str, user_id: str, before: int | None, limit: int) -> LedgerPageRecord:
        """Transfers of the player, of turns before ``before``; the newest for None."""
        ...


class AuditLog(Protocol):
    """Append-only. What the gold account of the administrators moves is written by the database itself."""

    async def append(
        self, admin: str, action: str, target: str, details: Mapping[str, Any], reason: str
    ) -> None:
        """For what is not done in the database, e.g. reading somebody's recent actions from their session.
        Write it before you do it. ``details`` must be JSON, and hold no personal data."""
        ...

    async def read(self, by: str, before: int | None, limit: int) -> Sequence[AuditRecord]:
        """Newest first, with ids below ``before``. Leaves an audit row itself, which it does not show."""
        ...


class PersonalDataStore(Protocol):
    """What a person can ask for."""

    async def export(self, user_id: str) -> PersonalDataRecord | None: ...

    async def ledger(self, user_id: str, before: int | None, limit: int) -> LedgerPageRecord:
        """As in ``PlayerDirectory``, by the player themselves; no audit row."""
        ...

    async def erase(self, user_id: str) -> None:
        """Remove name, password and birth date, end all families and void all access tokens, and leave an
        audit row. Journal and ledger, which know only the user id, stay whole. May be repeated.

        Raises:
            Rejected: ``account_unknown``.
        """
        ...
