"""``casino admin`` and ``casino invite``: the first administrator, and who else may come in."""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec
import typer

from deploy.commands.options import (
    DataOption,
    JsonOption,
    console,
    dsn_of,
    fail,
    print_json,
    settings_for,
)
from deploy.instance import NotRunning
from gateway.guests import new_user_id
from gateway.invites import invite_code, invite_hash
from gateway.passwords import Passwords
from gateway.roles import Role
from gateway.sign_up import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, USERNAME_PATTERN
from persistence.postgres.account_stores import AccountStores
from runtime.errors import CommandError

T = TypeVar("T")

CLI = "cli"
"""Who did it, in the audit log."""
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

admin = typer.Typer(help="Administrators.", no_args_is_help=True)
invite = typer.Typer(help="Invite codes.", no_args_is_help=True)


class InviteShown(msgspec.Struct):
    code: str
    uses_max: int
    expires_at: datetime | None
    label: str


@admin.command()
def create(
    username: Annotated[str, typer.Argument(help="3 to 32 letters, digits, dots, hyphens, underscores.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Make an account with the role ADMIN. Asks for its password."""
    if re.fullmatch(USERNAME_PATTERN, username) is None:
        fail(f"{username!r} is no user name: 3 to 32 letters, digits, dots, hyphens and underscores")
    password = _password(password_stdin)
    user_id = new_user_id()

    async def make(stores: AccountStores) -> None:
        passwords = Passwords(threads=1)
        try:
            password_hash = await passwords.hash(password)
        finally:
            passwords.close()
        command_id = f"cli-{secrets.token_hex(16)}"
        await stores.administration.create_admin(user_id, username, password_hash, CLI, command_id)

    _with_stores(make, dsn_of_instance(data))
    console.print(f"administrator {username}: {user_id}", highlight=False)


@admin.command()
def promote(
    username: Annotated[str, typer.Argument(help="Of a full account.")],
    role: Annotated[Role, typer.Option(help="The role to give.")] = Role.ADMIN,
    reason: Annotated[str, typer.Option(help="For the audit log.")] = "command line",
    data: DataOption = None,
) -> None:
    """Give an account another role. Its tokens are void then; it gets new ones by itself."""

    async def change(stores: AccountStores) -> str:
        account = await stores.accounts.account_named(username)
        if account is None:
            raise LookupError(f"nobody is called {username!r}")
        # Whichever gateway gives out the next token tells the session.
        command_id = f"cli-{secrets.token_hex(16)}"
        await stores.administration.change_role(account.user_id, role.value, CLI, reason, command_id)
        return account.user_id

    user_id = _with_stores(change, dsn_of_instance(data))
    console.print(f"{username} ({user_id}) is {role.value} now", highlight=False)


@invite.command()
def new(
    uses: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many may sign up with it.")] = 1,
    expires: Annotated[
        str | None, typer.Option(help="After 30m, 12h, 7d, 4w, …; never if left out.", show_default=False)
    ] = None,
    label: Annotated[str, typer.Option(help="Whom or what it is for.")] = "",
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make an invite code, and print it. It cannot be shown again: only its hash is kept."""
    expires_at = datetime.now(UTC) + _duration(expires) if expires is not None else None
    command_id = f"cli-{secrets.token_hex(16)}"
    code = invite_code(secrets.token_bytes(32), CLI, command_id)

    async def make(stores: AccountStores) -> None:
        await stores.invites.create(invite_hash(code), uses, expires_at, label, CLI, command_id)

    _with_stores(make, dsn_of_instance(data))
    if json:
        print_json(InviteShown(code, uses, expires_at, label))
    else:
        # Not wrapped, not coloured: for scripts.
        print(code)  # noqa: T201


def dsn_of_instance(data: DataOption) -> str:
    try:
        return dsn_of(settings_for(data))
    except NotRunning as error:
        fail(str(error))


def _with_stores(work: Callable[[AccountStores], Awaitable[T]], dsn: str) -> T:
    async def run() -> T:
        stores = AccountStores(dsn, connections_max=1, name="casino-cli")
        try:
            return await work(stores)
        finally:
            await stores.close()

    try:
        return asyncio.run(run())
    except CommandError as error:
        fail(error.message)
    except (LookupError, OSError) as error:
        fail(str(error))


def _password(from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        fail(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    return password


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    if match is None:
        fail(f"{text!r} is no length of time: 30m, 12h, 7d or 4w")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
