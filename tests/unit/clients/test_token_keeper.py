"""Which token is shown next, and when there is none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clients import token_keeper
from clients.errors import AuthenticationFailed, ConnectionLost
from clients.sign_in import Account
from clients.token_keeper import TokenKeeper


class House:
    """Answers sign-ins: each pair of tokens has a number."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.trouble: dict[str, Exception] = {}
        self.now = 0.0
        self.has_refresh_tokens = True

    async def _answer(self, *asked: str) -> Account:
        self.asked.append(asked)
        await asyncio.sleep(0)
        if asked[0] in self.trouble:
            raise self.trouble[asked[0]]
        number = len(self.asked)
        refresh_token = f"R{number}" if self.has_refresh_tokens else None
        return Account(f"T{number}", "bearer", 60, "u_1", refresh_token)

    async def guest(self, _url: str, _http: object) -> Account:
        return await self._answer("guest")

    async def log_in(self, _url: str, username: str, password: str, _http: object) -> Account:
        return await self._answer("log_in", username, password)

    async def refresh(self, _url: str, token: str, _http: object) -> Account:
        return await self._answer("refresh", token)

    def keeper(self, **options: Any) -> TokenKeeper:
        return TokenKeeper("http://h", clock=lambda: self.now, sleep=self.sleep, **options)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House()
    monkeypatch.setattr(token_keeper, "sign_in_guest", house.guest)
    monkeypatch.setattr(token_keeper, "log_in", house.log_in)
    monkeypatch.setattr(token_keeper, "refresh", house.refresh)
    return house


GUEST = {"guest": True}
ANN = {"username": "ann", "password": "pw"}


@pytest.mark.parametrize(("options", "first"), [(GUEST, ("guest",)), (ANN, ("log_in", "ann", "pw"))])
async def test_a_token_is_used_until_just_before_it_expires(
    house: House, options: Any, first: tuple[str, ...]
) -> None:
    keeper = house.keeper(**options)
    assert await keeper.current() == "T1"
    house.now = 54.9
    assert await keeper.current() == "T1"
    house.now = 55.1
    assert await keeper.current() == "T2"
    house.now = 200
    assert await keeper.current() == "T3"
    assert house.asked == [first, ("refresh", "R1"), ("refresh", "R2")]
    assert (keeper.token, keeper.user_id) == ("T3", "u_1")


async def test_many_at_once_ask_once(house: House) -> None:
    keeper = house.keeper(**GUEST)
    assert await asyncio.gather(*(keeper.current() for _ in range(20))) == ["T1"] * 20
    house.now = 100
    assert await asyncio.gather(*(keeper.current() for _ in range(20))) == ["T2"] * 20
    assert len(house.asked) == 2


@pytest.mark.parametrize("options", [GUEST, ANN])
async def test_a_refused_token_is_replaced_and_a_fresh_one_is_not(house: House, options: Any) -> None:
    keeper = house.keeper(**options)
    await keeper.current()
    keeper.accepted()
    assert keeper.refused()
    assert await keeper.current() == "T2"
    assert not keeper.refused(), "the server has just made it"


async def test_a_refresh_that_was_not_answered_is_asked_again(house: House) -> None:
    keeper = house.keeper(**GUEST)
    await keeper.current()
    house.now, house.trouble = 100, {"refresh": ConnectionLost("gone")}
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            await keeper.current()
    house.trouble = {}
    assert await keeper.current() == "T4"
    assert house.asked[1:] == [("refresh", "R1")] * 3


async def test_a_guest_who_is_refused_is_no_other_guest(house: House) -> None:
    keeper = house.keeper(**GUEST)
    await keeper.current()
    house.now, house.trouble = 100, {"refresh": AuthenticationFailed("refresh_expired", "")}
    for _ in range(2):
        with pytest.raises(AuthenticationFailed, match="refresh_expired"):
            await keeper.current()
    assert house.asked.count(("guest",)) == 1


async def test_a_password_is_good_again_when_the_refresh_token_is_not(house: House) -> None:
    keeper = house.keeper(**ANN)
    await keeper.current()
    house.now, house.trouble = 100, {"refresh": AuthenticationFailed("refresh_revoked", "")}
    assert await keeper.current() == "T3"
    assert house.asked[-1] == ("log_in", "ann", "pw")


async def test_without_refresh_tokens_a_guest_keeps_what_there_is(house: House) -> None:
    house.has_refresh_tokens = False
    keeper = house.keeper(**GUEST)
    await keeper.current()
    keeper.accepted()
    house.now = 1000
    assert await keeper.current() == "T1"
    assert not keeper.refused()


async def test_a_token_that_was_given(house: House) -> None:
    keeper = house.keeper(token="T")
    assert await keeper.current() == "T"
    assert not keeper.refused()
    assert house.asked == []


@pytest.mark.parametrize(
    "options",
    [{}, {"token": "T", "guest": True}, {**ANN, "guest": True}, {"token": "T", **ANN}],
)
def test_ways_are_exclusive(house: House, options: Any) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        house.keeper(**options)


@pytest.mark.parametrize(
    "options", [{"username": "ann"}, {"password": "pw"}, {"token": "T", "password": "pw"}]
)
def test_name_and_password_belong_together(house: House, options: Any) -> None:
    with pytest.raises(ValueError, match="together"):
        house.keeper(**options)


def test_no_secret_is_shown(house: House) -> None:
    assert "pw" not in repr(house.keeper(**ANN))


class Enough(Exception):
    pass


def shower(house: House, count: int) -> tuple[list[tuple[float, str]], Any]:
    """Takes so many tokens, and remembers when."""
    seen: list[tuple[float, str]] = []

    async def show(token: str) -> None:
        seen.append((house.now, token))
        if len(seen) == count:
            raise Enough

    return seen, show


async def test_each_next_token_is_shown_just_before_the_last_one_ends(house: House) -> None:
    keeper = house.keeper(**GUEST)
    seen, show = shower(house, 3)
    with pytest.raises(Enough):
        await keeper.keep_current(await keeper.current(), show)
    assert seen == [(55, "T2"), (110, "T3"), (165, "T4")]
    assert house.asked == [("guest",), ("refresh", "R1"), ("refresh", "R2"), ("refresh", "R3")]


async def test_a_token_that_was_fetched_for_something_else_is_shown_too(house: House) -> None:
    keeper = house.keeper(**GUEST)
    shown = await keeper.current()

    async def fetched_meanwhile(seconds: float) -> None:
        house.now += seconds
        if len(house.asked) == 1:
            assert await keeper.current() == "T2"

    keeper._sleep = fetched_meanwhile
    seen, show = shower(house, 1)
    with pytest.raises(Enough):
        await keeper.keep_current(shown, show)
    assert seen == [(55, "T2")]
    assert len(house.asked) == 2, "and not fetched twice"


async def test_a_renewal_that_fails_is_tried_again_before_the_grace_is_over(house: House) -> None:
    keeper = house.keeper(**GUEST)
    shown = await keeper.current()
    house.trouble = {"refresh": ConnectionLost("gone")}
    sleeps = 0

    async def sleep(seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        house.now += seconds
        if sleeps == 5:
            house.trouble = {}

    keeper._sleep = sleep
    seen, show = shower(house, 1)
    with pytest.raises(Enough):
        await keeper.keep_current(shown, show)
    [(when, _)] = seen
    assert 55 < when < 60 + 60, "the server's grace begins when the token ends"


async def test_when_there_is_no_other_token_nothing_more_is_shown(house: House) -> None:
    keeper = house.keeper(**GUEST)
    shown = await keeper.current()
    house.trouble = {"refresh": AuthenticationFailed("refresh_revoked", "")}
    seen, show = shower(house, 1)
    await keeper.keep_current(shown, show)
    assert seen == []


@pytest.mark.parametrize("options", [{"token": "T"}, {"provider": None}])
async def test_tokens_that_are_renewed_elsewhere_are_left_alone(house: House, options: Any) -> None:
    async def provider() -> str:
        return "P"

    keeper = house.keeper(**(options if "token" in options else {"provider": provider}))
    seen, show = shower(house, 1)
    await keeper.keep_current(await keeper.current(), show)
    assert (seen, house.now) == ([], 0)


async def test_a_sign_in_that_has_happened(house: House) -> None:
    keeper = house.keeper(account=Account("T0", "bearer", 60, "u_1", "R0"))
    assert (keeper.user_id, keeper.is_due, await keeper.current()) == ("u_1", False, "T0")
    house.now = 55
    assert keeper.is_due
    assert await keeper.current() == "T1"
    assert (house.asked, keeper.is_due) == ([("refresh", "R0")], False)
