"""Pairs of tokens: who they name, and that a session hears of a role before a token says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gateway import token_pairs
from gateway.fanout import Fanout
from gateway.key_ring import KeyRing
from gateway.problems import Problem
from gateway.refresh_tokens import RefreshTokens
from gateway.revocations import Verdict
from gateway.roles import Role
from gateway.token_pairs import TokenPairs
from gateway.tokens import AccessTokens, TokenRevoked
from runtime.stream import Failure
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import KEYS, FakeClock, FakeRouter, unpack


@dataclass
class House:
    clock: FakeClock
    store: FakeAccounts
    access: AccessTokens
    router: FakeRouter
    pairs: TokenPairs


@pytest.fixture
def house() -> House:
    clock = FakeClock()
    store, access, router = (
        FakeAccounts(clock),
        AccessTokens(KeyRing(KEYS, "k1"), clock),
        FakeRouter(Fanout()),
    )
    router.replies = {"set_role": {}}
    return House(clock, store, access, router, TokenPairs(access, RefreshTokens(store, b"r" * 32), router))


async def test_a_pair(house: House) -> None:
    house.store.add("ann")
    pair = await house.pairs.begin("u_ann")
    assert (pair.user_id, pair.role, pair.expires_in, pair.token_type) == (
        "u_ann", Role.STANDARD, 900, "bearer",
    )  # fmt: skip
    assert house.access.verify(pair.access_token)[:3] == ("u_ann", Role.STANDARD, house.clock.ms // 1000)
    following = await house.pairs.renew(pair.refresh_token)
    assert following.refresh_token != pair.refresh_token
    assert house.access.verify(following.access_token).user_id == "u_ann"
    assert house.router.submitted == [], "nobody's role was ever changed"


async def test_the_session_hears_of_the_role_first(house: House) -> None:
    house.store.add("ann", role="VIP", role_changes=3)
    house.router.is_silent = True
    beginning = asyncio.ensure_future(house.pairs.begin("u_ann"))
    async with asyncio.timeout(5):
        while not house.router.waiting:
            await asyncio.sleep(0)
    ((actor, command_id, name, data),) = house.router.submitted
    assert (actor, name, unpack(data)) == ("session/u_ann", "set_role", {"role": "VIP", "change": 3})
    assert not command_id.isprintable(), "no client can have taken this id"
    assert not beginning.done()
    house.router.waiting[0]()
    pair = await beginning
    assert house.access.verify(pair.access_token).role is Role.VIP
    house.router.is_silent = False
    await house.pairs.renew(pair.refresh_token)
    assert [each[:2] for each in house.router.submitted] == [(actor, command_id)] * 2


async def test_no_sign_in_without_a_session_that_knows(house: House) -> None:
    house.store.add("ann", role="VIP", role_changes=1)
    house.router.replies = {"set_role": Failure(0, "unavailable", "", True)}
    with pytest.raises(Problem):
        await house.pairs.begin("u_ann")


@pytest.mark.parametrize("trouble", ["fails", "is silent"])
async def test_a_renewal_is_answered_whatever_the_session_does(
    house: House, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """The exchange cannot be taken back: a client left without its answer would pass for a thief."""
    monkeypatch.setattr(token_pairs, "_TELL_WITHIN_S", 0.02)
    account = house.store.add("ann")
    pair = await house.pairs.begin("u_ann")
    account.role, account.role_changes = "VIP", 1
    house.router.replies = {"set_role": Failure(0, "unavailable", "", True)}
    house.router.is_silent = trouble == "is silent"
    renewed = await house.pairs.renew(pair.refresh_token)
    assert renewed.expires_in == 30, "it comes back soon, and the session is told then"
    house.clock.ms += 35_000
    with pytest.raises(Exception, match="past its time"):
        house.access.verify(renewed.access_token)


async def test_what_was_voided_before_does_not_void_the_new_pair(house: House) -> None:
    house.store.add("ann")
    old = await house.pairs.begin("u_ann")
    house.store.void("u_ann", "password")
    new = await house.pairs.begin("u_ann")
    for each in house.store.revocations:
        house.access.revocations.add(each.user_id, Verdict(int(each.not_before.timestamp()), each.because))
    with pytest.raises(TokenRevoked):
        house.access.verify(old.access_token)
    assert house.access.verify(new.access_token).user_id == "u_ann"
