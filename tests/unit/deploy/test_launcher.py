import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy import launcher
from deploy.instance import Instance
from deploy.launcher import Launcher, LaunchError, check_port, forget_secrets_of_environment, started
from deploy.settings import Settings
from persistence.postgres.crash_chains import ChainError
from runtime.journal import HostRecord, Incarnation

Make = Callable[..., Launcher]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launcher, "PORT_PATIENCE_S", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, reported: list[str]) -> Make:
    def make(**settings: Any) -> Launcher:
        data = tmp_path / "casino"
        return Launcher(Settings(data=data, **settings), Instance(data), reported.append)

    return make


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens who would share it, as gateways do."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_no_child_inherits_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = ("SIGNING_KEYS", "SIGNING_KEY", "REFRESH_KEY", "CLUSTER_SECRET", "CRASH_KEY", "POSTGRES_DSN")
    for name in secret:
        monkeypatch.setenv(f"CASINO_{name}", "s3cret")
    monkeypatch.setenv("casino_redis_url", "s3cret")
    monkeypatch.setenv("CASINO_PORT", "8000")
    forget_secrets_of_environment()
    assert "s3cret" not in os.environ.values()
    assert os.environ["CASINO_PORT"] == "8000"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_port_that_is_in_use_is_refused(taken: int, host: str) -> None:
    with pytest.raises(LaunchError, match=f"port {taken} is in use .* choose another with --port"):
        await check_port(host, taken, "--port")


async def test_a_free_port_stays_free(free: int) -> None:
    await check_port("127.0.0.1", free, "--port")
    await check_port("127.0.0.1", free, "--port")


async def test_a_port_that_is_being_let_go_of_is_waited_for(
    free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "PORT_PATIENCE_S", 5.0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free))
        listener.listen()
        asyncio.get_running_loop().call_later(0.05, listener.close)
        await check_port("127.0.0.1", free, "--port")


async def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(LaunchError, match=r"cannot listen on 192\.0\.2\.1"):
        await check_port("192.0.2.1", 8000, "--port")


async def test_up_refuses_a_port_before_it_starts_anything(
    make: Make, taken: int, free: int, tmp_path: Path, reported: list[str]
) -> None:
    with pytest.raises(LaunchError, match="--port"):
        await make(port=taken).run(lambda state: None)
    with pytest.raises(LaunchError, match="--dashboard-port"):
        await make(port=free, ray_dashboard_port=taken).run(lambda state: None)
    assert reported == []
    assert not (tmp_path / "casino" / "postgres").exists()


class Memory:
    """Membership with three hosts, one of them fenced."""

    def __init__(self) -> None:
        self.fenced: list[Incarnation] = []

    async def hosts(self) -> list[HostRecord]:
        return [
            HostRecord(1, "session-host-0", "a", -5.0, True),
            HostRecord(2, "session-host-0", "b", 2.5, False),
            HostRecord(3, "session-host-1", "c", -1.0, False),
        ]

    async def fence(self, incarnation: Incarnation) -> None:
        self.fenced.append(incarnation)


async def test_what_an_earlier_life_left_is_fenced(make: Make, reported: list[str]) -> None:
    memory: Any = Memory()
    await make()._fence_the_gone(memory)
    assert memory.fenced == [2, 3]
    assert len(reported) == 1
    assert "session-host-1" in reported[0]


@pytest.mark.parametrize(
    "shared", [{"postgres_dsn": SecretStr("postgresql://elsewhere")}, {"ray_address": "192.0.2.1:6379"}]
)
async def test_nobody_is_fenced_where_another_cluster_may_live(make: Make, shared: dict[str, Any]) -> None:
    memory: Any = Memory()
    await make(**shared)._fence_the_gone(memory)
    assert memory.fenced == []


class Server:
    def __init__(self, error: Exception | None = None) -> None:
        self.log: list[str] = []
        self.error = error
        self.entered = threading.Event()
        self.may_start = threading.Event()

    def start(self) -> str:
        self.entered.set()
        assert self.may_start.wait(10)
        self.log.append("started")
        if self.error is not None:
            raise self.error
        return "address"

    def stop(self) -> None:
        self.log.append("stopped")


async def test_a_server_that_starts_is_left_running() -> None:
    server: Any = Server()
    server.may_start.set()
    assert await started(server) == "address"
    assert server.log == ["started"]


@pytest.mark.parametrize("error", [None, OSError("no")])
async def test_a_server_whose_start_is_interrupted_is_stopped(error: Exception | None) -> None:
    server: Any = Server(error)
    starting = asyncio.create_task(started(server))
    await asyncio.to_thread(server.entered.wait)
    starting.cancel()
    await asyncio.sleep(0.02)
    assert not starting.done()
    server.may_start.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert server.log == ["started", "stopped"]


async def test_a_table_that_cannot_play_keeps_everything_from_starting(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise ChainError("Crash table main has no hash chain")

    monkeypatch.setattr(launcher, "prepare_tables", refuse)
    with pytest.raises(LaunchError, match="no hash chain"):
        await make()._prepare_crash("postgresql://")


async def test_notices_go_where_reports_go_unless_there_is_a_better_place(
    make: Make, reported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare(_: Settings, __: Instance, ___: str, report: Any, notice: Any) -> None:
        report("working")
        notice("look here")

    monkeypatch.setattr(launcher, "prepare_tables", prepare)
    await make()._prepare_crash("postgresql://")
    assert reported == ["working", "look here"]
    noticed: list[str] = []
    instance = Instance(tmp_path / "casino")
    await Launcher(Settings(), instance, reported.append, noticed.append)._prepare_crash("postgresql://")
    assert noticed == ["look here"]
