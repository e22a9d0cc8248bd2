"""Access tokens: ours, and everything that is not."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.key_ring import KeyRing
from gateway.revocations import Verdict
from gateway.roles import Role
from gateway.tokens import AccessTokens, TokenExpired, TokenInvalid, TokenRevoked, UserBanned
from tests.unit.gateway.fakes import KEYS, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(clock: FakeClock) -> AccessTokens:
    return AccessTokens(KeyRing(KEYS, "k1"), clock, lifetime_s=60, leeway_s=5)


def forged(claims: dict[str, Any] | None = None, key: bytes = KEYS["k1"], **header: Any) -> str:
    now = FakeClock().now_ms() // 1000
    genuine = {"sub": "u_ann", "typ": "access", "role": "STANDARD", "iat": now, "exp": now + 60}
    merged = {name: value for name, value in {**genuine, **(claims or {})}.items() if value != "ABSENT"}
    algorithm = header.pop("algorithm", "HS256")
    headers = {name: value for name, value in {"kid": "k1", **header}.items() if value != "ABSENT"}
    return jwt.encode(merged, key, algorithm=algorithm, headers=headers)


def test_what_is_issued_verifies(tokens: AccessTokens, clock: FakeClock) -> None:
    issued = tokens.issue("u_ann", Role.VIP)
    assert issued.expires_in == 60
    now_s = clock.ms // 1000
    assert tokens.verify(issued.token) == ("u_ann", Role.VIP, now_s, now_s + 60)
    assert tokens.verify(forged()).user_id == "u_ann"


def test_expiry(tokens: AccessTokens, clock: FakeClock) -> None:
    token = tokens.issue("u_ann").token
    clock.ms += 64_999
    assert tokens.verify(token).user_id == "u_ann"
    clock.ms += 1
    with pytest.raises(TokenExpired) as caught:
        tokens.verify(token)
    assert caught.value.code == "token_expired"


def test_a_token_as_of_another_time(tokens: AccessTokens, clock: FakeClock) -> None:
    """The database's clock, which issues it, may be a little ahead."""
    now = clock.ms // 1000
    issued = tokens.issue("u_ann", issued_s=now + 2, lifetime_s=10)
    assert issued.expires_in == 10
    assert tokens.verify(issued.token).issued_s == now + 2
    clock.ms += 17_000
    with pytest.raises(TokenExpired):
        tokens.verify(issued.token)
    assert tokens.issue("u_ann", lifetime_s=3600).expires_in == 60, "never longer than revocations are kept"


def test_tokens_of_a_time_when_they_lived_longer_go_by_the_new_lifetime(clock: FakeClock) -> None:
    ring = KeyRing(KEYS, "k1")
    token = AccessTokens(ring, clock, lifetime_s=3600).issue("u_ann").token
    tokens = AccessTokens(ring, clock, lifetime_s=60, leeway_s=5)
    assert tokens.verify(token).user_id == "u_ann"
    clock.ms += 65_000
    with pytest.raises(TokenExpired):
        tokens.verify(token)


def test_an_old_key_verifies_until_it_is_dropped(clock: FakeClock) -> None:
    ring = KeyRing(KEYS, "k1")
    tokens = AccessTokens(ring, clock)
    token = tokens.issue("u_ann").token
    ring.replace(KEYS, "k2")
    assert tokens.verify(token).user_id == "u_ann"
    assert jwt.get_unverified_header(tokens.issue("u_ann").token)["kid"] == "k2"
    ring.replace({"k2": KEYS["k2"]}, "k2")
    with pytest.raises(TokenInvalid):
        tokens.verify(token)


@pytest.mark.parametrize(
    ("because", "error", "code"),
    [("password", TokenRevoked, "token_revoked"), ("role", TokenRevoked, "token_revoked"),
     ("ban", UserBanned, "banned")],
)  # fmt: skip
def test_a_voided_token(
    tokens: AccessTokens, clock: FakeClock, because: str, error: type[Exception], code: str
) -> None:
    now = clock.ms // 1000
    token, other = tokens.issue("u_ann", issued_s=now).token, tokens.issue("u_bob", issued_s=now).token
    tokens.revocations.add("u_ann", Verdict(now, because))
    assert tokens.verify(token).user_id == "u_ann", "made at that moment, so not before it"
    tokens.revocations.add("u_ann", Verdict(now + 1, because))
    with pytest.raises(error) as caught:
        tokens.verify(token)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert tokens.verify(other).user_id == "u_bob"
    assert tokens.verify(tokens.issue("u_ann", issued_s=now + 1).token).user_id == "u_ann"


def _alg_none() -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    now = FakeClock().now_ms() // 1000
    claims = {"sub": "u_ann", "typ": "access", "role": "ADMIN", "iat": now, "exp": now + 60}
    return f"{part({'alg': 'none', 'kid': 'k1', 'typ': 'JWT'})}.{part(claims)}."


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _with(part: int, **changes: Any) -> str:
    """A genuine token whose header (0) or claims (1) were edited afterwards."""
    parts = forged().split(".")
    value = json.loads(base64.urlsafe_b64decode(parts[part] + "=="))
    parts[part] = _part({**value, **changes})
    return ".".join(parts)


_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PUBLIC = _RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def _signed_with_rsa() -> str:
    return jwt.encode(json.loads(_json_of(forged())), _RSA, algorithm="RS256", headers={"kid": "k1"})


def _json_of(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.split(".")[1] + "==")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(_with(1, role="ADMIN"), id="role edited"),
        pytest.param(_with(1, sub="u_bob"), id="user edited"),
        pytest.param(_with(1, exp=9_999_999_999), id="time edited"),
        pytest.param(_with(0, alg="none"), id="alg edited to none"),
        pytest.param(_with(0, kid="k2"), id="kid edited"),
        pytest.param(_with(0, alg="RS256"), id="alg edited to RS256"),
        pytest.param(_signed_with_rsa(), id="RS256 with a key of their own"),
        pytest.param(forged({"role": "ABSENT"}), id="no role"),
        pytest.param(forged({"role": "OWNER"}), id="no such role"),
        pytest.param(forged({"role": ["ADMIN"]}), id="role a list"),
        pytest.param(forged({"iat": 1.5}), id="iat a fraction"),
        pytest.param(_with(0, kid=["k1"]), id="kid a list"),
        pytest.param("Zm9v" * 10 + "abc", id="a refresh token"),
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
        pytest.param(forged({"typ": "refresh"}), id="another type"),
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


def test_a_public_key_is_no_shared_secret(clock: FakeClock) -> None:
    """The classic confusion: a verifier that has a public key takes HS256 tokens signed with its text."""
    tokens = AccessTokens(KeyRing({"k1": _PUBLIC}, "k1"), clock)
    with pytest.raises(TokenInvalid):
        tokens.verify(_signed_with_rsa())
