"""Everything that is kept about a person: whole, page by page, and one at a time."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest

from gateway import export
from gateway.export import EXPORT_S, EXPORTS_MAX, PAGE_ROWS, Exports, PersonalDataExport
from gateway.problems import Problem
from runtime.errors import Unavailable
from tests.unit.gateway.fake_accounts import EPOCH
from tests.unit.gateway.fake_office import Moved, Page
from tests.unit.gateway.fakes import FakeClock
from tests.unit.gateway.house import House

PATH = "/api/users/me/export"


@pytest.fixture
def house() -> House:
    return House()


def spun(turns: int) -> list[Moved]:
    return [Moved(turn, 0, EPOCH, -turn, "house:slots", "stake") for turn in range(turns, 0, -1)]


def personal(house: House) -> Any:
    assert house.parts.back_office is not None
    return house.parts.back_office.personal_data


async def test_it_has_everything_but_the_password(house: House) -> None:
    account = house.accounts.accounts["u_standard"]
    account.birth_date, account.password_hash = date(1990, 2, 3), "$argon2id$secret"
    house.office.moved["u_standard"] = [
        Moved(2, 0, EPOCH, -5, "house:slots", 'a "stake"'),
        Moved(1, 0, EPOCH, 9, "faucet:welcome", "welcome"),
    ]
    async with house.client() as client:
        response = await client.get(PATH)
        older = await client.get(PATH, params={"before": 2})
    assert response.headers["content-type"] == "application/json"
    PersonalDataExport.model_validate_json(response.content)
    found = response.json()
    assert found["account"]["username"] == "Standard"
    assert found["birth_date"] == "1990-02-03"
    assert found["sign_ins"] == ["2024-01-01T00:00:00Z", "2023-01-01T00:00:00Z"]
    assert found["state"]["gold_balance"] == 10_000
    assert found["ledger"] == {
        "user_id": "u_standard",
        "entries": [
            {"turn": 2, "index": 0, "at": "2023-01-01T00:00:00Z", "amount": -5,
             "other_account": "house:slots", "reason": 'a "stake"'},
            {"turn": 1, "index": 0, "at": "2023-01-01T00:00:00Z", "amount": 9,
             "other_account": "faucet:welcome", "reason": "welcome"},
        ],
        "next_before": None,
    }  # fmt: skip
    assert [entry["turn"] for entry in older.json()["ledger"]["entries"]] == [1]
    assert "argon2" not in response.text


@pytest.mark.parametrize("turns", [0, 1, 3, 4, 7])
async def test_it_goes_on_to_the_first_turn(house: House, turns: int) -> None:
    house.office.moved["u_standard"] = spun(turns)
    house.office.rows_max = 3
    async with house.client() as client:
        ledger = (await client.get(PATH)).json()["ledger"]
    assert [entry["turn"] for entry in ledger["entries"]] == list(range(turns, 0, -1))
    assert ledger["next_before"] is None


async def test_pages_may_be_empty(house: House) -> None:
    found = {
        None: Page([], 90),
        90: Page(spun(1), 60),
        60: Page([], 30),
        30: Page(spun(1), 20),
        20: Page([], None),
    }

    async def ledger(user_id: str, before: int | None, limit: int) -> Page:
        return found[before]

    personal(house).ledger = ledger
    async with house.client() as client:
        shown = (await client.get(PATH)).json()["ledger"]
    assert (len(shown["entries"]), shown["next_before"]) == (2, None)


async def test_a_page_is_sent_before_the_next_is_read(house: House) -> None:
    house.office.moved["u_standard"] = spun(9)
    house.office.rows_max = 3
    done: list[str] = []
    read = personal(house).ledger

    async def ledger(user_id: str, before: int | None, limit: int) -> Page:
        done.append("read")
        assert limit == PAGE_ROWS
        return Page(*await read(user_id, before, limit))

    async def send(message: Any) -> None:
        if b'"turn"' in message.get("body", b""):
            done.append("sent")

    personal(house).ledger = ledger
    await house.app(scope_of(house), receive, send)
    assert done == ["read", "sent"] * 3


async def test_what_takes_too_long_ends_whole_and_says_where_to_go_on(house: House) -> None:
    house.office.moved["u_standard"] = spun(9)
    house.office.rows_max = 3
    read = personal(house).ledger

    async def ledger(user_id: str, before: int | None, limit: int) -> Page:
        house.clock.seconds += EXPORT_S / 2
        return Page(*await read(user_id, before, limit))

    personal(house).ledger = ledger
    async with house.client() as client:
        first = (await client.get(PATH)).json()["ledger"]
        rest = (await client.get(PATH, params={"before": first["next_before"]})).json()["ledger"]
    assert [entry["turn"] for entry in first["entries"]] == [9, 8, 7, 6, 5, 4]
    assert first["next_before"] == 4
    assert [entry["turn"] for entry in rest["entries"]] == [3, 2, 1]


async def test_a_database_that_goes_away_half_way_leaves_a_whole_document(house: House) -> None:
    house.office.moved["u_standard"] = spun(9)
    house.office.rows_max = 3
    read = personal(house).ledger

    async def ledger(user_id: str, before: int | None, limit: int) -> Page:
        page = Page(*await read(user_id, before, limit))
        house.office.error = Unavailable("away")
        return page

    personal(house).ledger = ledger
    async with house.client() as client:
        found = (await client.get(PATH)).json()["ledger"]
        again = await client.get(PATH)
    assert (len(found["entries"]), found["next_before"]) == (3, 7)
    assert (again.status_code, again.json()["code"]) == (503, "unavailable"), "before it has begun"


async def test_one_at_a_time_for_each_user(house: House) -> None:
    go, waiting = asyncio.Event(), asyncio.Event()
    read = personal(house).export

    async def slow(user_id: str) -> Any:
        if user_id == "u_standard":
            waiting.set()
            await go.wait()
        return await read(user_id)

    personal(house).export = slow
    async with house.client() as client:
        first = asyncio.ensure_future(client.get(PATH))
        await waiting.wait()
        second = await client.get(PATH)
        other = await client.get(PATH, headers=house.bearer("u_vip"))
        go.set()
        assert (await first).status_code == 200
        third = await client.get(PATH)
    assert (second.status_code, second.json()["code"]) == (429, "export_under_way")
    assert second.headers["retry-after"]
    assert (other.status_code, third.status_code) == (200, 200)


async def test_a_refused_export_leaves_its_place(house: House) -> None:
    house.office.error = Unavailable("away")
    async with house.client() as client:
        assert [(await client.get(PATH)).status_code for _ in range(2)] == [503, 503]
        house.office.error = None
        assert (await client.get(PATH)).status_code == 200


def test_places_are_few_and_come_free() -> None:
    clock = FakeClock()
    exports = Exports(clock)
    for number in range(EXPORTS_MAX):
        until = exports.begin(f"u_{number}")
    with pytest.raises(Problem) as refused:
        exports.begin("u_more")
    assert (refused.value.status, refused.value.code) == (503, "overloaded")
    clock.seconds += EXPORT_S
    later = exports.begin("u_7")
    exports.end("u_7", until)
    with pytest.raises(Problem) as refused:
        exports.begin("u_7")
    assert refused.value.code == "export_under_way", "an earlier one does not end it"
    exports.end("u_7", later)
    exports.begin("u_7")


async def test_a_reader_who_does_not_read_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EXPORT_S", 0.01)
    monkeypatch.setattr(export, "_LAST_BYTES_S", 0.01)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await house.app(scope_of(house), receive, send)


async def test_a_reader_who_hangs_up_leaves_the_place(house: House) -> None:
    house.office.moved["u_standard"] = spun(9)
    house.office.rows_max = 3
    read, begun = personal(house).ledger, asyncio.Event()

    async def ledger(user_id: str, before: int | None, limit: int) -> Page:
        if before is not None:
            begun.set()
            await asyncio.Event().wait()
        return Page(*await read(user_id, before, limit))

    async def hang_up() -> dict[str, Any]:
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None: ...

    personal(house).ledger = ledger
    async with asyncio.timeout(10):
        await house.app(scope_of(house), hang_up, send)
    personal(house).ledger = read
    async with house.client() as client:
        assert (await client.get(PATH)).status_code == 200


async def test_the_account_that_is_gone_and_nobody(house: House) -> None:
    async with house.client("u_gone") as client:
        gone = await client.get(PATH)
    async with house.client(None) as client:
        nobody = await client.get(PATH)
    assert (gone.status_code, gone.json()["code"]) == (404, "account_unknown")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "not_authenticated")
    assert house.commands() == []


def scope_of(house: House) -> dict[str, Any]:
    token = house.bearer()["Authorization"]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", token.encode())],
        "client": ("192.0.2.1", 1),
        "server": ("casino", 80),
    }


async def receive() -> dict[str, Any]:
    """There is no body, and the reader stays."""
    await asyncio.Event().wait()
    return {}
