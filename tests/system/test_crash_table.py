"""A Crash table as its players meet it: what is refused, what the REST routes say, what a connection
finds when it comes back, and several tables side by side."""

import asyncio
import math
from collections.abc import Awaitable, Iterator
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from clients import CasinoClient
from clients.errors import CommandFailed
from tests.system.arena import Arena, running
from tests.system.crash_books import verify_rounds
from tests.system.crash_watcher import CrashWatcher
from tests.system.rigged_chains import Bounds, rig

pytestmark = pytest.mark.system

MAIN = '{"name":"main","betting_s":1.5,"pause_s":0.5}'
SIDE = '{"name":"side","betting_s":1.0,"pause_s":0.5,"stake_max":50}'
STEADY: Bounds = (125, 140)
"""A round of 3.7 to 5.7 seconds."""


@pytest.fixture(scope="module")
def casino(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    data = tmp_path_factory.mktemp("table") / "casino"
    asyncio.run(rig(data, {"main": [[STEADY] * 4] * 10, "side": [[STEADY] * 4] * 10}))
    with running(data, CASINO_CRASH_TABLES=f"[{MAIN},{SIDE}]") as arena:
        yield arena


@pytest.fixture
async def player(casino: Arena) -> Any:
    async with CasinoClient.connect(casino.url, guest=True, connect_timeout=30) as client:
        yield client


@pytest.fixture
async def watcher(casino: Arena) -> Any:
    async with CrashWatcher(casino.url) as watcher:
        yield watcher
        assert watcher.contradictions == []


async def refused(player: CasinoClient, name: str, data: dict[str, Any]) -> str:
    """The code with which a command is refused: the same, when it is given again under its id."""
    codes = []
    with pytest.raises(CommandFailed) as failure:
        await player.command(name, data)
    codes.append(failure.value.code)
    with pytest.raises(CommandFailed) as again:
        await player.command(name, data, id=failure.value.command_id)
    assert again.value.code == failure.value.code
    assert failure.value.message
    return failure.value.code


async def possessions(casino: Arena, player: CasinoClient) -> dict[str, Any]:
    """What a refusal must not touch: gold as its owner, the ledger and the balances have it."""
    connection = await asyncpg.connect(casino.dsn)
    try:
        account = f"player:{player.state.user_id}"
        return {
            "gold": (await player.get_profile())["gold_balance"],
            "balance": await connection.fetchval("SELECT balance FROM balances WHERE account = $1", account),
            "transfers": await connection.fetch(
                "SELECT * FROM ledger WHERE debit = $1 OR credit = $1 ORDER BY position, index", account
            ),
            # Without the time, which is that of the last attempt to cash out.
            "open": [bet | {"at_ms": 0} for bet in (await player.get_crash_bets())["open"]],
        }
    finally:
        await connection.close()


BAD_BETS: list[tuple[dict[str, Any], set[str]]] = [
    ({"stake": 10, "auto_cash_out": 1.0}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 1}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 1.001}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 1.505}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 0.0}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": -1}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 1_000_000.01}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 10**12}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": 1e300}, {"auto_cash_out_invalid"}),
    ({"stake": 10, "auto_cash_out": math.nan}, {"invalid_data"}),
    ({"stake": 10, "auto_cash_out": math.inf}, {"invalid_data"}),
    ({"stake": 10, "auto_cash_out": -math.inf}, {"invalid_data"}),
    ({"stake": 10, "auto_cash_out": "1.5"}, {"invalid_data"}),
    ({"stake": 0}, {"invalid_data", "stake_out_of_range"}),
    ({"stake": -5}, {"invalid_data", "stake_out_of_range"}),
    ({"stake": 10**15}, {"invalid_data", "stake_out_of_range"}),
    ({"stake": 2**64 - 1}, {"invalid_data", "stake_out_of_range"}),
    ({"stake": 100_001}, {"stake_out_of_range"}),
    ({"stake": 51, "table": "side"}, {"stake_out_of_range"}),
    ({"stake": 1.5}, {"invalid_data"}),
    ({"stake": None}, {"invalid_data"}),
    ({}, {"invalid_data"}),
    ({"stake": 10, "bet": 1}, {"invalid_data"}),
    ({"stake": 10, "user_id": "u_other"}, {"invalid_data"}),
    ({"stake": 10_001}, {"insufficient_funds"}),
    ({"stake": 10, "table": "nowhere"}, {"unknown_table"}),
    ({"stake": 10, "table": ""}, {"invalid_data", "unknown_table"}),
    ({"stake": 10, "table": "main/../side"}, {"unknown_table"}),
]


async def test_bad_bets_are_refused_and_move_nothing(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    await watcher.enters("betting")
    before = await possessions(casino, player)
    for data, codes in BAD_BETS:
        assert await refused(player, "place_crash_bet", data) in codes, data
    assert await refused(player, "cash_out_crash", {"table": "nowhere"}) in {"unknown_table", "no_open_bet"}
    assert await refused(player, "take_crash_bet", {"bet": 1, "stake": 1, "auto": None}) == "unknown_command"
    assert await refused(player, "subscribe", {"topic": "crash/nowhere"}) == "unknown_topic"
    assert await refused(player, "subscribe", {"topic": f"session/{player.state.user_id}"}) == "unknown_topic"
    assert await possessions(casino, player) == before
    assert tables_running(casino) == {"main", "side"}


def tables_running(casino: Arena) -> set[str]:
    return {
        path.stem.rpartition("-")[0].removeprefix("crash-")
        for path in casino.instance.runtime.glob("crash-*.sock")
        if psutil.pid_exists(int(path.stem.rpartition("-")[2]))
    }


async def test_commands_at_the_wrong_time_are_refused_and_move_nothing(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    async with CasinoClient.connect(casino.url, guest=True) as other:
        await watcher.enters("betting")
        assert await refused(player, "cash_out_crash", {}) == "no_open_bet"
        placed = await player.place_crash_bet(100)
        bet = await other.place_crash_bet(70, auto_cash_out=1.2)
        theirs = await possessions(casino, other)
        before = await possessions(casino, player)
        assert before["gold"] == placed["gold_balance"] == 9_900
        assert await refused(player, "place_crash_bet", {"stake": 1}) == "bet_already_placed"
        assert await refused(player, "cash_out_crash", {}) == "round_not_running"
        assert await possessions(casino, player) == before
        number = await watcher.enters("running")
        assert number == placed["round"] == bet["round"]
        assert await refused(player, "place_crash_bet", {"stake": 1}) == "bet_already_placed"
        async with CasinoClient.connect(casino.url, guest=True) as late:
            nothing = await possessions(casino, late)
            assert await refused(late, "place_crash_bet", {"stake": 1}) == "betting_closed"
            assert await refused(late, "cash_out_crash", {}) == "no_open_bet"
            assert await possessions(casino, late) == nothing
        await asyncio.sleep(0.3)
        paid = await player.cash_out_crash()
        assert await refused(player, "cash_out_crash", {}) == "no_open_bet"
        assert 1.01 <= paid["multiplier"] <= 1.4
        assert paid["payout"] == 100 * round(paid["multiplier"] * 100) // 100
        assert (await possessions(casino, player))["gold"] == 9_900 + paid["payout"]
        # Somebody else's cash-out has not touched this one's bet.
        assert (await possessions(casino, other)) == theirs
        await watcher.ends(number)
        assert await refused(player, "cash_out_crash", {}) == "no_open_bet"
        await _settled(other, number)
        assert (await possessions(casino, other))["gold"] == 9_930 + 70 * 120 // 100


async def test_a_cash_out_after_the_crash_pays_nothing(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    await watcher.enters("betting")
    number = (await player.place_crash_bet(100))["round"]
    await watcher.ends(number)
    # Whether the session has heard of the end already decides which of the two it says.
    assert await refused(player, "cash_out_crash", {}) in {"round_over", "no_open_bet"}
    bet = await _settled(player, number)
    assert (bet["status"], bet["payout"], bet["multiplier"]) == ("crashed", 0, None)
    assert (await possessions(casino, player))["gold"] == 9_900


async def test_a_cash_out_at_the_start_is_too_early_or_pays_what_it_says(
    watcher: CrashWatcher, player: CasinoClient
) -> None:
    await watcher.enters("betting")
    await player.place_crash_bet(100)
    await watcher.enters("running")
    said = await outcome(player.cash_out_crash())
    if isinstance(said, str):
        assert said == "cash_out_too_early"
        assert [bet["status"] for bet in (await player.get_crash_bets())["open"]] == ["placed"]
    else:
        assert said["multiplier"] >= 1.01


async def outcome(command: Awaitable[dict[str, Any]]) -> dict[str, Any] | str:
    """Its result, or the code of its refusal."""
    try:
        return await command
    except CommandFailed as failure:
        return failure.code


async def _settled(player: CasinoClient, number: int, table: str = "main") -> dict[str, Any]:
    """The bet of a round, once it is settled."""
    async with asyncio.timeout(30):
        while True:
            bets: list[dict[str, Any]] = (await player.get_crash_bets())["settled"]
            for bet in bets:
                if bet["round"] == number and bet["table"] == table:
                    return bet
            await asyncio.sleep(0.02)


async def test_rest_agrees_with_the_socket(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    async with CrashWatcher(casino.url) as witness:
        await watcher.enters("betting")
        placed = await player.place_crash_bet(40, auto_cash_out=1.1)
        end = await witness.ends(placed["round"])
        bet = await _settled(player, placed["round"])
    bearer = {"Authorization": f"Bearer {player.token}"}
    async with httpx.AsyncClient(base_url=f"{casino.url}/api/games/crash", trust_env=False) as web:
        await asyncio.sleep(0.6)  # for so long an answer may be kept
        rounds = (await web.get("/history", params={"limit": 3})).json()["rounds"]
        fairness = (await web.get("/fairness")).json()
        assert 1 <= len(rounds) <= 3
        told = next(each for each in rounds if each["round"] == placed["round"])
        for name in ("hash", "crash_point", "ended", "multiplier", "staked", "paid"):
            assert told[name] == end[name], name
        assert (told["bets"], told["staked"], told["paid"]) == (1, 40, 44)
        assert fairness["table"] == "main"
        assert fairness["first_round"] <= fairness["round"]
        assert fairness["round"] in (placed["round"], placed["round"] + 1)
        if fairness["round"] == placed["round"]:
            assert fairness["previous_hash"] == end["previous_hash"]
        mine = await web.get("/bets", headers=bearer)
        assert mine.json() == await player.get_crash_bets()
        assert mine.json()["settled"] == [bet]
        for headers in ({}, {"Authorization": "Bearer nonsense"}):
            stranger = await web.get("/bets", headers=headers)
            assert stranger.status_code == 401
            assert stranger.json()["code"] in {"not_authenticated", "token_invalid"}
        for path in ("/history", "/fairness"):
            unknown = await web.get(path, params={"table": "nowhere"})
            assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_table")
        for limit in ("0", "101", "x"):
            assert (await web.get("/history", params={"limit": limit})).status_code == 422
    assert tables_running(casino) == {"main", "side"}


async def test_a_player_bets_at_two_tables_at_once(casino: Arena, player: CasinoClient) -> None:
    async with CrashWatcher(casino.url, "main") as main, CrashWatcher(casino.url, "side") as side:
        bets = await asyncio.gather(*(_bets(player, each) for each in (main, side)))
        for watcher, placed in zip((main, side), bets, strict=True):
            await watcher.ends(placed["round"])
            bet = await _settled(player, placed["round"], watcher.table)
            assert (bet["stake"], bet["payout"], bet["multiplier"]) == (30, 33, 1.1)
            assert await verify_rounds(casino, watcher.table, [placed["round"]]) == []
        assert main.crashes.keys() | side.crashes.keys()
        assert (await player.get_profile())["gold_balance"] == 10_000 + 2 * 3
        assert main.contradictions == side.contradictions == []
        hashes = [{end["hash"] for end in each.crashes.values()} for each in (main, side)]
        assert not hashes[0] & hashes[1]


async def _bets(player: CasinoClient, watcher: CrashWatcher) -> dict[str, Any]:
    await watcher.enters("betting")
    return await player.place_crash_bet(30, watcher.table, 1.1)


async def test_an_open_bet_is_found_again_after_a_restart_of_the_gateway(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    await watcher.enters("betting")
    number = (await player.place_crash_bet(60, auto_cash_out=1.02))["round"]
    views = [heard for heard in watcher.heard if heard.type == "crash_state"]
    for gateway in casino.actors("Gateway"):
        gateway.kill()
    # A device that knows nothing yet.
    async with CasinoClient.connect(casino.url, token=player.token, connect_timeout=60) as tablet:
        found = tablet.state.details["crash_bets"] + (await tablet.get_crash_bets())["settled"]
        assert [(bet["round"], bet["stake"], bet["auto_cash_out"]) for bet in found] == [(number, 60, 1.02)]
        await watcher.until(
            lambda: [heard for heard in watcher.heard if heard.type == "crash_state"] != views
        )
        bet = await _settled(tablet, number)
        assert (bet["status"], bet["payout"]) == ("cashed_out", 61)
        async with asyncio.timeout(30):
            while not player.state.gold_balance == tablet.state.gold_balance == 10_001:
                await asyncio.sleep(0.02)
    assert watcher.client.reconnects == 1


async def test_an_open_bet_is_in_the_initial_state(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    await watcher.enters("betting")
    number = (await player.place_crash_bet(60, auto_cash_out=500))["round"]
    async with CasinoClient.connect(casino.url, token=player.token) as tablet:
        (bet,) = tablet.state.details["crash_bets"]
    assert (bet["table"], bet["round"], bet["stake"], bet["auto_cash_out"]) == ("main", number, 60, 500.0)
    assert (bet["status"], bet["multiplier"], bet["payout"]) == ("placed", None, 0)


async def test_a_table_that_is_down_is_a_503_and_comes_back(
    casino: Arena, watcher: CrashWatcher, player: CasinoClient
) -> None:
    key = casino.data / "secrets" / "crash-key"
    hidden = key.with_name("crash-key-hidden")
    async with httpx.AsyncClient(
        base_url=f"{casino.url}/api/games/crash", timeout=60, trust_env=False
    ) as web:
        key.rename(hidden)
        try:
            for table in casino.hosts("crash-main"):
                table.kill()
            answers = await asyncio.gather(
                web.get("/history"), web.get("/fairness"), web.get("/history", params={"table": "side"})
            )
        finally:
            hidden.rename(key)
        for answer in answers[:2]:
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["Retry-After"]
        assert answers[2].status_code == 200, "the other table is none of its business"
        await watcher.enters("betting")
        assert (await web.get("/history")).status_code == 200
