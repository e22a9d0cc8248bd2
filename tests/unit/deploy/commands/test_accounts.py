from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from typer.testing import CliRunner

from deploy.cli import app
from deploy.commands import accounts
from gateway.invites import invite_hash
from runtime.errors import Rejected


@dataclass
class Account:
    user_id: str


@dataclass
class Stores:
    """What the commands ask the database for."""

    did: list[tuple[Any, ...]] = field(default_factory=list)
    error: Exception | None = None

    @property
    def administration(self) -> Stores:
        return self

    @property
    def invites(self) -> Stores:
        return self

    @property
    def accounts(self) -> Stores:
        return self

    def _did(self, *what: Any) -> None:
        if self.error is not None:
            raise self.error
        self.did.append(what)

    async def create_admin(self, *what: Any) -> None:
        self._did(*what)

    async def change_role(self, *what: Any) -> None:
        self._did(*what)

    async def create(self, *what: Any) -> None:
        self._did(*what)

    async def account_named(self, username: str) -> Account | None:
        return Account("u_ann") if username == "ann" else None

    async def close(self) -> None:
        pass


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    stores = Stores()
    monkeypatch.setattr(accounts, "AccountStores", lambda *_, **__: stores)
    monkeypatch.setenv("CASINO_POSTGRES_DSN", "postgresql://nowhere")
    return stores


def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments, input=stdin)
    return result.exit_code, result.output


def test_the_first_administrator(stores: Stores) -> None:
    status, said = run("admin", "create", "Root", "--password-stdin", stdin="correct horse\n")
    assert status == 0
    ((user_id, username, password_hash, by, command_id),) = stores.did
    assert (username, by) == ("Root", "cli")
    assert user_id in said
    assert Argon2Hasher().verify("correct horse", password_hash)
    assert "correct horse" not in said
    assert command_id


def test_the_password_is_asked_for_twice(stores: Stores) -> None:
    assert run("admin", "create", "Root", stdin="correct horse\nanother one\ncorrect horse\n" * 2)[0] == 0
    assert len(stores.did) == 1


@pytest.mark.parametrize(
    ("username", "password"), [("no name", "correct horse"), ("Root", "short"), ("Root", "x" * 129)]
)
def test_no_weak_administrator(stores: Stores, username: str, password: str) -> None:
    assert run("admin", "create", username, "--password-stdin", stdin=f"{password}\n")[0] == 1
    assert stores.did == []


def test_a_name_that_is_taken(stores: Stores) -> None:
    stores.error = Rejected("Somebody has this user name.", "username_taken")
    status, said = run("admin", "create", "Root", "--password-stdin", stdin="correct horse\n")
    assert status == 1
    assert "Somebody has this user name." in said


def test_promote(stores: Stores) -> None:
    assert run("admin", "promote", "ann")[0] == 0
    assert run("admin", "promote", "ann", "--role", "VIP", "--reason", "birthday")[0] == 0
    assert [what[:4] for what in stores.did] == [
        ("u_ann", "ADMIN", "cli", "command line"),
        ("u_ann", "VIP", "cli", "birthday"),
    ]
    status, said = run("admin", "promote", "bob")
    assert status == 1
    assert "nobody is called 'bob'" in said


def test_an_invite(stores: Stores) -> None:
    status, said = run("invite", "new")
    assert status == 0
    code = said.strip()
    ((code_hash, uses, expires_at, label, by, _),) = stores.did
    assert (code_hash, uses, expires_at, label, by) == (invite_hash(code), 1, None, "", "cli")
    assert run("invite", "new")[1].strip() != code


def test_an_invite_with_everything(stores: Stores) -> None:
    before = datetime.now(UTC)
    status, said = run("invite", "new", "--uses", "5", "--expires", "7d", "--label", "friends", "--json")
    assert status == 0
    shown = json.loads(said)
    ((code_hash, uses, expires_at, label, _, _),) = stores.did
    assert (code_hash, uses, label) == (invite_hash(shown["code"]), 5, "friends")
    assert timedelta() <= expires_at - before - timedelta(days=7) < timedelta(minutes=1)


@pytest.mark.parametrize("arguments", [("--expires", "soon"), ("--expires", "0d"), ("--uses", "0")])
def test_no_such_invite(stores: Stores, arguments: tuple[str, ...]) -> None:
    assert run("invite", "new", *arguments)[0] != 0
    assert stores.did == []
