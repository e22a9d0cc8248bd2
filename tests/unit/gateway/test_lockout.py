"""The lockout: the durable counter has the last word, the gate only saves it work."""

from __future__ import annotations

import asyncio

import pytest

from gateway.lockout import Lockout, key_of
from runtime.errors import Unavailable
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import FakeClock


async def test_five_attempts_in_ten_minutes() -> None:
    clock = FakeClock()
    lockout = Lockout(FakeAccounts(clock))
    for _ in range(5):
        assert await lockout.count("Ann") is None
    clock.ms += 60_000
    assert await lockout.count("ann") == pytest.approx(540), "case does not tell names apart"
    assert await lockout.count("bob") is None
    clock.ms += 540_000
    assert await lockout.count("ann") is None


async def test_a_right_password_gives_the_attempts_back() -> None:
    attempts, gate = FakeAccounts(FakeClock()), FakeAccounts(FakeClock())
    lockout = Lockout(attempts, gate)
    for _ in range(3):
        for _ in range(4):
            assert await lockout.count("ann") is None
        await lockout.reset("ann")


async def test_a_hundred_at_once() -> None:
    lockout = Lockout(FakeAccounts(FakeClock()), FakeAccounts(FakeClock()))
    answers = await asyncio.gather(*(lockout.count("ann") for _ in range(100)))
    assert answers.count(None) == 5


async def test_the_gate_spares_the_database() -> None:
    attempts = FakeAccounts(FakeClock())
    lockout = Lockout(attempts, FakeAccounts(FakeClock()))
    for _ in range(50):
        await lockout.count("ann")
    assert attempts.asked["count"] == 5


async def test_without_the_gate_it_still_holds() -> None:
    attempts, gate = FakeAccounts(FakeClock()), FakeAccounts(FakeClock())
    lockout = Lockout(attempts, gate)
    answers = [await lockout.count("ann") for _ in range(3)]
    gate.error = Unavailable("killed mid-way")
    answers += [await lockout.count("ann") for _ in range(50)]
    gate.error, gate.attempts = None, {}
    answers += [await lockout.count("ann") for _ in range(50)]
    assert answers.count(None) == 5, "a gate that forgot lets nobody in"
    await lockout.reset("ann")
    gate.error = Unavailable("killed again")
    await lockout.reset("ann")
    assert await lockout.count("ann") is None, "and one that is away locks nobody out"


async def test_without_the_database_nobody_is_let_through() -> None:
    attempts = FakeAccounts(FakeClock())
    attempts.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await Lockout(attempts, FakeAccounts(FakeClock())).count("ann")


async def test_the_gate_forgets_whom_it_is_told_to() -> None:
    attempts, gate = FakeAccounts(FakeClock()), FakeAccounts(FakeClock())
    lockout = Lockout(attempts, gate)
    for name in ("ann", "password:u_ann", "bob"):
        await lockout.count(name)
    await lockout.forget("Ann", "password:u_ann")
    assert set(gate.attempts) == {key_of("bob")}
    gate.error = Unavailable("away")
    await lockout.forget("bob")
