"""Refresh tokens: what follows from what, and what is stored of them."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

import pytest

from gateway.refresh_tokens import TOKEN_CHARS_MAX, RefreshTokens, hash_of
from tests.unit.gateway.fake_accounts import FakeAccounts

KEY = b"r" * 32


async def test_a_family() -> None:
    store = FakeAccounts()
    store.add("ann")
    tokens = RefreshTokens(store, KEY)
    first, grant = await tokens.begin("u_ann")
    assert grant.account.user_id == "u_ann"
    other, _ = await tokens.begin("u_ann")
    assert first != other
    second, _ = await tokens.exchange(first)
    again, _ = await tokens.exchange(first)
    assert second == again, "the same successor"
    assert store.rotations == 1
    third, _ = await tokens.exchange(second)
    assert len({first, second, third}) == 3
    assert all(len(token) == 43 <= TOKEN_CHARS_MAX for token in (first, second, third))
    assert set(store.tokens) == {hash_of(token) for token in (first, second, third, other)}


def test_the_successor_needs_the_key() -> None:
    expected = hmac.new(KEY, b"next" + b"token", hashlib.sha256).digest()
    assert RefreshTokens(FakeAccounts(), KEY).successor("token") == (
        urlsafe_b64encode(expected).decode().rstrip("=")
    )
    assert RefreshTokens(FakeAccounts(), b"s" * 32).successor("token") != (
        RefreshTokens(FakeAccounts(), KEY).successor("token")
    )


def test_what_is_stored() -> None:
    assert hash_of("token") == hashlib.sha256(b"token").digest()


def test_a_weak_key() -> None:
    with pytest.raises(ValueError, match="32"):
        RefreshTokens(FakeAccounts(), b"short")
