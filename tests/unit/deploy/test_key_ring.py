"""The file of signing keys: its rotation, and that what runs notices."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.key_ring import (
    SETTLE_S,
    KeyFile,
    KeyFileError,
    WatchedRing,
    given_keys,
    given_ring,
    keys_at,
)
from deploy.settings import Settings
from gateway.tokens import AccessTokens, TokenInvalid

NOW = 1_700_000_000_000
SETTLED = NOW + int(1000 * SETTLE_S)
LIFETIME_S = 900


class FakeClock:
    def __init__(self) -> None:
        self.ms = NOW

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    file = KeyFile(tmp_path / "signing-keys.json")
    file.prepare(NOW)
    return file


def test_the_first_key(file: KeyFile) -> None:
    (key,) = file.read()
    assert len(bytes.fromhex(key.key)) == 32
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.prepare(NOW + 1)
    assert file.read() == [key], "made once"
    assert keys_at([key], NOW) == ({key.kid: bytes.fromhex(key.key)}, key.kid)
    assert key.key not in repr(key)


def test_a_rotation(file: KeyFile) -> None:
    (old,) = file.read()
    new = file.rotate(NOW, LIFETIME_S)
    keys = file.read()
    assert [key.kid for key in keys] == [old.kid, new.kid]
    assert keys_at(keys, NOW) == (
        {key.kid: bytes.fromhex(key.key) for key in keys}, old.kid,
    ), "published, but not used before every gateway knows it"  # fmt: skip
    assert keys_at(keys, SETTLED)[1] == new.kid
    last_token_gone = SETTLED + 1000 * LIFETIME_S
    assert set(keys_at(keys, last_token_gone)[0]) == {old.kid, new.kid}
    assert set(keys_at(keys, last_token_gone + 60_000)[0]) == {new.kid}
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_many_rotations_keep_no_more_than_verifies(file: KeyFile) -> None:
    kids = [file.read()[0].kid]
    for number in range(1, 6):
        kids.append(file.rotate(NOW + number * 3_600_000, LIFETIME_S).kid)
    assert [key.kid for key in file.read()] == kids[-2:]


def test_two_rotations_at_once_lose_no_key(file: KeyFile) -> None:
    (old,) = file.read()
    first, second = file.rotate(NOW, LIFETIME_S), file.rotate(NOW, 2 * LIFETIME_S)
    keys = {key.kid: key for key in file.read()}
    assert set(keys) == {old.kid, first.kid, second.kid}
    ends = keys[old.kid].verifies_until_ms
    assert ends is not None
    assert ends < SETTLED + 1000 * LIFETIME_S + 60_000, "the end of a key is not put off"


def test_keys_that_somebody_may_know_are_dropped_at_once(file: KeyFile) -> None:
    (old,) = file.read()
    new = file.rotate(NOW, LIFETIME_S, drop_old=True)
    assert keys_at(file.read(), NOW) == ({new.kid: bytes.fromhex(new.key)}, new.kid)
    assert old.kid not in file.path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '[{"kid": "1"}]',
        json.dumps([{"kid": "1", "key": "abcd", "created_ms": 1, "signs_from_ms": 1}]),
        json.dumps([{"kid": "1", "key": "x" * 64, "created_ms": 1, "signs_from_ms": 1}]),
        json.dumps([{"kid": "", "key": "ab" * 32, "created_ms": 1, "signs_from_ms": 1}]),
        json.dumps([{"kid": "1", "key": "ab" * 32, "created_ms": 1, "signs_from_ms": 1}] * 2),
    ],
)
def test_what_is_no_list_of_keys(tmp_path: Path, content: str) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.path.write_text(content)
    with pytest.raises(KeyFileError, match="no list of signing keys"):
        file.read()
    with pytest.raises(KeyFileError):
        file.rotate(NOW, LIFETIME_S)
    assert file.path.read_text() == content


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        KeyFile(tmp_path / "keys.json").rotate(NOW, LIFETIME_S)


async def test_a_gateway_notices_a_rotation(file: KeyFile) -> None:
    clock = FakeClock()
    here, there = WatchedRing(file, clock, poll_s=0.005), WatchedRing(file, clock, poll_s=0.005)
    (old,) = file.read()
    tokens, elsewhere = AccessTokens(here.ring, clock), AccessTokens(there.ring, clock)
    before = tokens.issue("u_ann").token
    new = file.rotate(NOW, LIFETIME_S)
    here.start()
    there.start()
    async with asyncio.timeout(5):
        while here.ring.key(new.kid) is None or there.ring.key(new.kid) is None:
            await asyncio.sleep(0.005)
        assert here.ring.active[0] == old.kid
        clock.ms = SETTLED
        while here.ring.active[0] != new.kid:
            await asyncio.sleep(0.005)
    after = tokens.issue("u_ann").token
    for token in (before, after):
        assert elsewhere.verify(token).user_id == "u_ann"
    await here.stop()
    await there.stop()
    await there.stop()
    clock.ms = SETTLED + 2_000_000
    await there.look()
    assert there.ring.key(old.kid) is None
    with pytest.raises(TokenInvalid):
        elsewhere.verify(before)


async def test_a_file_that_cannot_be_read_changes_nothing(file: KeyFile) -> None:
    watched = WatchedRing(file, FakeClock())
    active = watched.ring.active
    file.path.write_text("broken")
    await watched.look()
    assert watched.ring.active == active
    file.path.unlink()
    await watched.look()
    assert watched.ring.active == active
    with pytest.raises(KeyFileError):
        WatchedRing(file, FakeClock())


def test_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_keys(Settings()) == {}
    assert given_keys(Settings(signing_key=SecretStr("ab" * 32))) == {"1": "ab" * 32}
    monkeypatch.setenv("CASINO_SIGNING_KEYS", json.dumps({"b": "bb" * 32, "a": "aa" * 32}))
    settings = Settings()
    assert "bb" * 32 not in repr(settings)
    ring = given_ring(given_keys(settings))
    assert ring.active == ("b", b"\xbb" * 32)
    assert ring.key("a") == b"\xaa" * 32


@pytest.mark.parametrize("keys", [{}, {"a": "abcd"}, {"a": "no hex" * 20}])
def test_keys_from_the_environment_that_are_none(keys: dict[str, str]) -> None:
    with pytest.raises(KeyFileError, match="CASINO_SIGNING_KEYS") as caught:
        given_ring(keys)
    assert not any(key in str(caught.value) for key in keys.values())
