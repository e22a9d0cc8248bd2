"""Access tokens: ours, and everything that is not."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest

from gateway.tokens import AccessTokens, TokenExpired, TokenInvalid
from tests.unit.gateway.fakes import KEYS, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(clock: FakeClock) -> AccessTokens:
    return AccessTokens(KEYS, "k1", clock, lifetime_s=60, leeway_s=5)


def forged(claims: dict[str, Any] | None = None, key: bytes = KEYS["k1"], **header: Any) -> str:
    now = FakeClock().now_ms() // 1000
    genuine = {"sub": "u_ann", "typ": "access", "iat": now, "exp": now + 60}
    merged = {name: value for name, value in {**genuine, **(claims or {})}.items() if value != "ABSENT"}
    algorithm = header.pop("algorithm", "HS256")
    headers = {name: value for name, value in {"kid": "k1", **header}.items() if value != "ABSENT"}
    return jwt.encode(merged, key, algorithm=algorithm, headers=headers)


def test_what_is_issued_verifies(tokens: AccessTokens) -> None:
    issued = tokens.issue("u_ann")
    assert issued.expires_in == 60
    assert tokens.verify(issued.token) == "u_ann"
    assert tokens.verify(forged()) == "u_ann"


def test_expiry(tokens: AccessTokens, clock: FakeClock) -> None:
    token = tokens.issue("u_ann").token
    clock.ms += 64_999
    assert tokens.verify(token) == "u_ann"
    clock.ms += 1
    with pytest.raises(TokenExpired) as caught:
        tokens.verify(token)
    assert caught.value.code == "token_expired"


def test_an_old_key_verifies_until_it_is_dropped(tokens: AccessTokens, clock: FakeClock) -> None:
    token = tokens.issue("u_ann").token
    assert AccessTokens(KEYS, "k2", clock).verify(token) == "u_ann"
    with pytest.raises(TokenInvalid):
        AccessTokens({"k2": KEYS["k2"]}, "k2", clock).verify(token)


def _alg_none() -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    now = FakeClock().now_ms() // 1000
    claims = {"sub": "u_ann", "typ": "access", "iat": now, "exp": now + 60}
    return f"{part({'alg': 'none', 'kid': 'k1', 'typ': 'JWT'})}.{part(claims)}."


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("nonsense", id="nonsense"),
        pytest.param("a.b.c", id="three parts of nothing"),
        pytest.param("é.é.é", id="not ascii"),
        pytest.param("x" * 100_000, id="huge"),
        pytest.param(_alg_none(), id="alg none"),
        pytest.param(forged(key=b"f" * 32), id="forged"),
        pytest.param(forged(key=KEYS["k2"]), id="key of another kid"),
        pytest.param(forged(kid="k9"), id="unknown kid"),
        pytest.param(forged(kid="ABSENT"), id="no kid"),
        pytest.param(forged(algorithm="HS384", key=KEYS["k1"] * 2), id="another algorithm"),
        pytest.param(forged({"typ": "refresh"}), id="a refresh token"),
        pytest.param(forged({"typ": "ABSENT"}), id="no typ"),
        pytest.param(forged({"exp": "ABSENT"}), id="no exp"),
        pytest.param(forged({"iat": "ABSENT"}), id="no iat"),
        pytest.param(forged({"sub": "ABSENT"}), id="no sub"),
        pytest.param(forged({"sub": ""}), id="empty sub"),
        pytest.param(forged({"sub": "u/x"}), id="sub that is no key"),
        pytest.param(forged({"exp": True}), id="exp a bool"),
        pytest.param(forged({"exp": 1e300}), id="exp a float"),
        pytest.param(forged({"exp": "9999999999"}), id="exp a string"),
        pytest.param(forged({"iat": FakeClock().now_ms() // 1000 + 60}), id="from the future"),
        pytest.param(forged()[:-4] + "AAAA", id="signature changed"),
        pytest.param(forged() + "." + "x", id="one part too many"),
    ],
)
def test_not_ours(tokens: AccessTokens, token: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        tokens.verify(token)
    assert caught.value.code == "token_invalid"


def test_an_expired_forgery_is_a_forgery(tokens: AccessTokens) -> None:
    with pytest.raises(TokenInvalid):
        tokens.verify(forged({"exp": 1}, key=b"f" * 32))


def test_keys_are_checked_at_construction(clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="active"):
        AccessTokens(KEYS, "k9", clock)
    with pytest.raises(ValueError, match="32"):
        AccessTokens({"k1": b"short"}, "k1", clock)
