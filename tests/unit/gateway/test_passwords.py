"""Password hashing: the right cost, the same work for nobody, and a bound on what waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from gateway.passwords import Passwords
from runtime.errors import Overloaded
from tests.unit.gateway.fakes import CHEAP


async def verify(passwords: Passwords, password: str, stored: str | None) -> bool:
    with passwords.place() as place:
        return await place.verify(password, stored)


def take_and_leave(passwords: Passwords) -> None:
    with passwords.place():
        pass


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(CHEAP, threads=2, waiting_max=3)
    yield passwords
    passwords.close()


async def test_right_and_wrong(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse")
    assert await verify(passwords, "correct horse", stored)
    assert not await verify(passwords, "Correct horse", stored)
    assert not await verify(passwords, "correct horse", None)
    assert not await verify(passwords, "correct horse", "no hash at all")
    assert await passwords.hash("correct horse") != stored, "salted"


async def test_the_same_letters_are_the_same_password(passwords: Passwords) -> None:
    assert await verify(passwords, "cafe\u0301", await passwords.hash("caf\u00e9"))


async def test_the_cost() -> None:
    stored = await Passwords().hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_unknown_user_is_the_same_work(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    genuine = Argon2Hasher.verify

    def spy(self: Argon2Hasher, password: str, stored: str) -> bool:
        verified.append(stored)
        return genuine(self, password, stored)

    monkeypatch.setattr(Argon2Hasher, "verify", spy)
    stored = await passwords.hash("correct horse")
    await verify(passwords, "wrong", stored)
    await verify(passwords, "wrong", None)
    assert len(verified) == 2
    known, nobodys = (each.split("$")[1:4] for each in verified)
    assert known == nobodys, "the same algorithm at the same cost"


class Slow:
    """Hashing that lasts until it is let go, and counts how many run at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.running = 0
        self.running_max = 0

    def __call__(self, *_: Any) -> bool:
        with self.lock:
            self.running += 1
            self.running_max = max(self.running_max, self.running)
        self.go.wait(10)
        with self.lock:
            self.running -= 1
        return False

    async def until_running(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.running < count:
                await asyncio.sleep(0.005)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(Argon2Hasher, "verify", slow)
    return slow


async def test_past_the_bound_nobody_waits(passwords: Passwords, slow: Slow) -> None:
    stored = await passwords.hash("correct horse")
    jobs = [asyncio.ensure_future(verify(passwords, "x", stored)) for _ in range(100)]
    await asyncio.sleep(0)
    refused = [job for job in jobs if job.done()]
    assert len(refused) == 95, "two run, three wait"
    for job in refused:
        assert isinstance(job.exception(), Overloaded)
    with pytest.raises(Overloaded):
        take_and_leave(passwords)
    await slow.until_running(2)
    slow.go.set()
    assert await asyncio.gather(*(job for job in jobs if job not in refused)) == [False] * 5
    assert slow.running_max == 2
    take_and_leave(passwords)
    assert not await verify(passwords, "x", stored)


async def test_who_hangs_up_does_not_make_room(passwords: Passwords, slow: Slow) -> None:
    stored = await passwords.hash("correct horse")
    jobs = [asyncio.ensure_future(verify(passwords, "x", stored)) for _ in range(5)]
    await asyncio.sleep(0)
    for job in jobs:
        job.cancel()
    await asyncio.sleep(0)
    assert all(job.cancelled() for job in jobs)
    with pytest.raises(Overloaded):
        await verify(passwords, "x", stored)
    slow.go.set()
    async with asyncio.timeout(10):
        while True:
            try:
                take_and_leave(passwords)
                break
            except Overloaded:
                await asyncio.sleep(0.005)


async def test_a_place_is_taken_before_there_is_anything_to_hash(passwords: Passwords) -> None:
    with contextlib.ExitStack() as places:
        taken = [places.enter_context(passwords.place()) for _ in range(5)]
        with pytest.raises(Overloaded):
            await passwords.hash("correct horse")
        stored = await taken[0].hash("correct horse")
        assert await taken[0].verify("correct horse", stored), "one thing after another in the same place"
    assert await passwords.hash("correct horse")
