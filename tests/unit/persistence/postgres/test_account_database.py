"""Refusals of the database, as far as they can be checked without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import persistence.postgres.account_database as module
from persistence.postgres.account_database import refused
from runtime.errors import IdReused, Rejected

SQL = Path(module.__file__).parent / "sql"
# Whatever a function returns, sets as its outcome, or chooses for it.
REFUSAL = re.compile(r"(?:RETURN|outcome :=|THEN|ELSE) '([a-z_]+)'")


def refusals() -> set[str]:
    files = ("0004_sign_in.sql", "0004_administration.sql", "0005_sign_in.sql")
    text = "".join((SQL / name).read_text() for name in files)
    return set(REFUSAL.findall(text)) - {"done", "repeated", "ban", "unban"}


@pytest.mark.parametrize("code", sorted(refusals()))
def test_every_refusal_has_its_words(code: str) -> None:
    error = refused(code)
    assert isinstance(error, Rejected | IdReused)
    assert error.code == code
    assert error.message
    assert not error.retryable


def test_the_refusals_are_found() -> None:
    assert {"invite_invalid", "banned", "refresh_reused", "account_unknown", "id_reused"} <= refusals()
