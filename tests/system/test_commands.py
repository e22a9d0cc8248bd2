"""The casino as an operator meets it: every command on a running instance, and its end."""

import asyncio
import contextlib
import json
import os
import stat
import subprocess
from pathlib import Path

import httpx
import pytest

from clients import CasinoClient
from clients.verification import verify_slots
from tests.system.arena import CASINO, Arena

pytestmark = pytest.mark.system


async def test_a_player_claims_and_spins_and_everybody_agrees(arena: Arena) -> None:
    async with CasinoClient.connect(arena.url, guest=True) as casino:
        streak = await casino.claim_streak()
        spins = [await casino.spin_slots(stake=10) for _ in range(3)]
        assert spins[-1]["gold_balance"] == casino.state.gold_balance
        revealed = await casino.rotate_server_seed()
        user = casino.state.user_id
    assert streak["streak_count"] == 1
    for spin in spins:
        assert spin["server_seed_hash"] == revealed["revealed_server_seed_hash"]
        assert verify_slots(spin, revealed["revealed_server_seed"]).ok
        printed = arena_free("verify", "slots", "--json", f"--nonce={spin['nonce']}", "--stake=10",
            f"--server-seed={revealed['revealed_server_seed']}", f"--client-seed={spin['client_seed']}",
        )  # fmt: skip
        assert json.loads(printed)["server_seed_hash"] == spin["server_seed_hash"]
    replayed = json.loads(arena.run("replay", str(user), "--json").stdout)
    assert replayed["problems"] == []
    assert replayed["live"].startswith("equal")
    assert replayed["state"]["gold_balance"] == spins[-1]["gold_balance"]
    assert arena.audit()["ok"]


def arena_free(*arguments: str) -> str:
    """Run a command that needs no instance."""
    return subprocess.run(
        [str(CASINO), *arguments], capture_output=True, text=True, check=True, timeout=60
    ).stdout


async def test_two_devices_of_one_player_see_the_same(arena: Arena) -> None:
    async with (
        CasinoClient.connect(arena.url, guest=True) as phone,
        CasinoClient.connect(arena.url, token=phone.token) as tablet,
    ):
        await phone.spin_slots(stake=10)
        spin = await tablet.spin_slots(stake=10)
        async with asyncio.timeout(5):
            while phone.last_seq != tablet.last_seq:
                await asyncio.sleep(0.01)
        assert phone.state.gold_balance == tablet.state.gold_balance == spin["gold_balance"]


async def test_a_gift_to_nobody_comes_back(arena: Arena) -> None:
    async with CasinoClient.connect(arena.url, guest=True) as casino:
        before = casino.state.gold_balance
        await casino.send_gift("u_mistyped", 300)
        assert before is not None
        async with asyncio.timeout(10):
            while casino.state.gold_balance != before:
                await asyncio.sleep(0.01)
    replayed = json.loads(arena.run("replay", "u_mistyped", "--json").stdout)
    assert replayed["problems"] == []
    assert replayed["state"]["gold_balance"] == 0
    assert replayed["live"].startswith("not asked")
    assert arena.audit()["ok"]


def test_status_doctor_and_migrate_are_content(arena: Arena) -> None:
    status = arena.status()
    assert status["state"] == "ready"
    shards = {host["name"]: host["shards"] for host in status["hosts"]}
    assert shards.pop("crash-main") == 1
    assert sum(shards.values()) == 64
    findings = json.loads(arena.run("doctor", "--json").stdout)
    assert [f["check"] for f in findings if not f["ok"]] == []
    assert "ray dashboard" in {finding["check"] for finding in findings}
    assert "→" in arena.run("migrate").stdout


def test_secrets_are_the_owners_alone(arena: Arena) -> None:
    for path in (arena.data / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(arena.instance.runtime.stat().st_mode) == 0o700


def test_ray_shows_the_named_actors(arena: Arena) -> None:
    state = arena.instance.state()
    listed = subprocess.run(
        [str(CASINO.with_name("ray")), "list", "actors", "--format=json", "--detail",
         f"--address={state.dashboard}"],
        env=os.environ
        | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(arena.data / "secrets" / "ray-token"),
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr
    actors = {a["name"]: a for a in json.loads(listed.stdout) if a["state"] == "ALIVE"}
    assert {"coordinator", "session-host-0", "session-host-1", "gateway-0", "crash-main"} <= actors.keys()
    assert actors["session-host-0"]["class_name"] == "SessionHost"
    assert "incarnation" in actors["session-host-0"]["repr_name"]


def test_a_second_up_on_the_same_data_is_refused(arena: Arena) -> None:
    refused = arena.run("up", f"--port={arena.port}", check=False)
    assert refused.returncode == 1
    assert "already up" in refused.stderr


def test_a_port_that_another_casino_has_is_refused(arena: Arena, tmp_path: Path) -> None:
    refused = Arena(tmp_path / "second").run("up", f"--port={arena.port}", check=False)
    assert refused.returncode == 1
    assert f"port {arena.port} is in use" in refused.stderr
    assert "--port" in refused.stderr
    assert arena.status()["state"] == "ready"


@pytest.mark.parametrize("command", ["down", "status", "audit", "migrate"])
def test_commands_say_what_to_do_when_nothing_runs(tmp_path: Path, command: str) -> None:
    refused = Arena(tmp_path / "nothing").run(command, check=False)
    assert refused.returncode == 1
    assert "casino up" in refused.stderr


def test_replay_of_an_unknown_player_is_an_error(arena: Arena) -> None:
    refused = arena.run("replay", "u_nobody", check=False)
    assert refused.returncode == 1
    assert "no journal" in refused.stderr


async def test_guests_are_counted_per_address(tmp_path: Path, arena: Arena) -> None:
    async with httpx.AsyncClient(base_url=arena.url, trust_env=False) as client:
        answer = await client.post("/api/auth/guest")
    assert answer.status_code == 201
    assert answer.json().keys() == {
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "user_id",
        "role",
    }


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    arena = Arena(tmp_path / "casino", CASINO_SESSION_HOSTS="1")
    try:
        arena.up()
        assert len(arena.processes()) > 8
        assert arena.interrupt() == 0
        assert arena.processes() == []
    finally:
        with contextlib.suppress(Exception):
            arena.stop()
        arena.kill_everything()


def test_down_ends_up(tmp_path: Path) -> None:
    arena = Arena(tmp_path / "casino", CASINO_SESSION_HOSTS="1")
    try:
        arena.up()
        arena.run("down")
        assert arena.process is not None
        assert arena.process.wait(10) == 0
        assert arena.processes() == []
    finally:
        arena.kill_everything()
