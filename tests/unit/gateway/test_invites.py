"""Invite codes: told again for the same request, and read however they are typed."""

from __future__ import annotations

import re

import pytest

from gateway.invites import CODE_CHARS_MAX, invite_code, invite_hash

KEY = b"i" * 32


def test_codes() -> None:
    code = invite_code(KEY, "u_admin", "key-1")
    assert re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", code)
    assert len(code) <= CODE_CHARS_MAX
    assert invite_code(KEY, "u_admin", "key-1") == code
    others = {
        invite_code(KEY, "u_admin", "key-2"),
        invite_code(KEY, "u_other", "key-1"),
        invite_code(b"j" * 32, "u_admin", "key-1"),
        invite_code(KEY, "u_adminkey", "-1"),
    }
    assert len(others | {code}) == 5


@pytest.mark.parametrize("typed", ["ab2c-7qkz", "AB2C7QKZ", " AB2C 7QKZ "])
def test_as_typed(typed: str) -> None:
    assert invite_hash(typed) == invite_hash("AB2C-7QKZ")
    assert invite_hash(typed) != invite_hash("AB2C-7QKY")
