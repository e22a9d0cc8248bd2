"""The hash chains of Crash as an operator meets them: made, published, used up, and replaced."""

import asyncio
import json
import secrets
from pathlib import Path

import httpx
import pytest

from clients import CasinoClient
from clients.errors import CommandFailed
from tests.system.arena import Arena, running
from tests.system.crash_books import verify_rounds
from tests.system.crash_watcher import CrashWatcher
from tests.system.rigged_chains import SHORT, rig
from tests.system.test_crash_table import tables_running

pytestmark = pytest.mark.system

FAST = '{"name":"main","betting_s":0.5,"pause_s":0.3}'


def test_a_required_chain_is_asked_for_made_and_published(tmp_path: Path) -> None:
    arena = Arena(tmp_path / "casino", CASINO_CRASH_CHAIN="required")
    try:
        refused = arena.run("up", f"--port={arena.port}", check=False)
        assert refused.returncode == 1
        said = " ".join(refused.stderr.split())
        assert "casino crash-chain generate --table main" in said
        assert "casino crash-chain publish --table main" in said

        made = arena.run("crash-chain", "generate", "--length", "5")
        terminating_hash = made.stdout.splitlines()[0]
        assert len(bytes.fromhex(terminating_hash)) == 32
        assert "casino crash-chain publish --table main" in made.stdout
        assert arena.run("crash-chain", "generate", check=False).returncode == 1, "one waits for its salt"

        announced = arena.run("crash-chain", "publish").stdout
        assert terminating_hash in announced
        assert "--salt HASH" in announced
        for salt in ("xyz", "ab" * 8):
            assert arena.run("crash-chain", "publish", "--salt", salt, check=False).returncode == 1
        salt = secrets.token_hex(32)
        arena.run("crash-chain", "publish", "--salt", salt, "--source", "bitcoin block 999999")
        changed = arena.run("crash-chain", "publish", "--salt", secrets.token_hex(32), check=False)
        assert changed.returncode == 1
        assert salt in changed.stderr

        (status,) = json.loads(arena.run("crash-chain", "status", "--json").stdout)
        assert (status["table"], status["rounds_played"], status["rounds_left"]) == ("main", 0, 5)
        (chain,) = status["chains"]
        assert chain["terminating_hash"] == terminating_hash
        assert (chain["salt"], chain["salt_source"]) == (salt, "bitcoin block 999999")
        shown = arena.run("crash-chain", "status").stdout
        for word in (terminating_hash, salt, "bitcoin block 999999", "5 left"):
            assert word in shown
        unknown = arena.run("crash-chain", "generate", "--table", "nowhere", check=False)
        assert unknown.returncode == 1
        assert "there are: main" in unknown.stderr
    finally:
        arena.kill_everything()


async def test_a_table_without_hashes_is_closed_until_there_are_some(data: Path) -> None:
    await rig(data, {"main": [[SHORT] * 3]}, spare_rounds=0)
    with running(data, CASINO_CRASH_TABLES=f"[{FAST}]", CASINO_SESSION_HOSTS="1") as arena:
        assert "has only" in arena.log.read_text(), "the operator was warned"
        async with (
            CrashWatcher(arena.url) as watcher,
            CasinoClient.connect(arena.url, guest=True) as player,
            httpx.AsyncClient(base_url=f"{arena.url}/api/games/crash", trust_env=False) as web,
        ):
            await watcher.ends(3)
            await asyncio.sleep(1.5)
            assert watcher.round == 3
            with pytest.raises(CommandFailed) as refused:
                await player.place_crash_bet(10)
            assert refused.value.code == "betting_closed"
            assert (await player.get_profile())["gold_balance"] == 10_000
            (status,) = json.loads(arena.run("crash-chain", "status", "--json", check=False).stdout)
            assert (status["rounds_played"], status["rounds_left"]) == (3, 0)
            before = (await web.get("/fairness")).json()
            assert (before["round"], before["rounds_left"]) == (3, 0)

            arena.run("crash-chain", "generate", "--length", "20000")
            arena.run("crash-chain", "publish", "--salt", secrets.token_hex(32), "--source", "a test")
            # The table looks for another chain every half minute.
            number = await watcher.enters("betting")
            assert number == 4
            placed = await player.place_crash_bet(10, auto_cash_out=1.01)
            assert placed["round"] == 4
            await watcher.until(lambda: watcher.phase == "running")
            after = (await web.get("/fairness")).json()
            assert (after["first_round"], after["length"], after["round"]) == (4, 20000, 4)
            assert after["terminating_hash"] == after["previous_hash"] != before["terminating_hash"]
            assert watcher.contradictions == []
        assert await verify_rounds(arena, "main", [1, 2, 3]) == []
        assert arena.audit()["ok"]


async def _until_running(arena: Arena, tables: set[str]) -> None:
    """A casino is ready before its tables are: they come up beside."""
    async with asyncio.timeout(60):
        while tables_running(arena) != tables:
            await asyncio.sleep(0.2)


async def test_a_table_that_is_configured_no_more_is_gone(data: Path) -> None:
    side = FAST.replace("main", "side")
    await rig(data, {"main": [[SHORT] * 4] * 2, "side": [[SHORT] * 4] * 2})
    with running(data, CASINO_CRASH_TABLES=f"[{FAST},{side}]", CASINO_SESSION_HOSTS="1") as arena:
        await _until_running(arena, {"main", "side"})
        async with (
            CrashWatcher(arena.url, "side") as watcher,
            CasinoClient.connect(arena.url, guest=True) as player,
        ):
            await watcher.enters("betting")
            number = (await player.place_crash_bet(10, "side"))["round"]
            await watcher.ends(number)
            token, user = player.token, player.state.user_id
    with running(data, CASINO_CRASH_TABLES=f"[{FAST}]", CASINO_SESSION_HOSTS="1") as arena:
        async with CasinoClient.connect(arena.url, token=token) as player:
            assert player.state.user_id == user
            for name, topic in (("place_crash_bet", None), ("subscribe", "crash/side")):
                with pytest.raises(CommandFailed) as refused:
                    await player.command(name, {"topic": topic} if topic else {"stake": 5, "table": "side"})
                assert refused.value.code == ("unknown_topic" if topic else "unknown_table")
            assert [bet["round"] for bet in (await player.get_crash_bets())["settled"]] == [number]
            assert (await player.get_profile())["gold_balance"] == 9_990
        async with httpx.AsyncClient(base_url=f"{arena.url}/api/games/crash", trust_env=False) as web:
            gone = await web.get("/history", params={"table": "side"})
            assert (gone.status_code, gone.json()["code"]) == (404, "unknown_table")
        await _until_running(arena, {"main"})
        assert arena.audit()["ok"]
