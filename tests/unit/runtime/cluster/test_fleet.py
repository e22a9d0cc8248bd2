"""The fleet against processes that are only pretended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from runtime.cluster import fleet as fleet_module
from runtime.cluster.fleet import RayFleet
from runtime.settings import CoordinatorSettings

INTERVAL_S = 0.05
STILLBORN = ActorDiedError()
RESTARTING = ActorUnavailableError("restarting", None)


class Process:
    """A handle whose methods do as they are told: ``error`` makes every call fail."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.calls: list[str] = []
        self.may_drain = asyncio.Event()
        self.may_drain.set()
        self.killed = False

    def __getattr__(self, method: str) -> Any:
        async def call(*_: Any) -> Any:
            self.calls.append(method)
            if self.error is not None:
                raise self.error
            if method == "identity":
                return 1, "another node", 1
            if method == "lifetime":
                await asyncio.Event().wait()
            if method == "drain":
                await self.may_drain.wait()
            return {"name": self.name}

        return SimpleNamespace(remote=call)


class Fleet(RayFleet):
    """Creates pretended processes; ``born_with`` is asked for the error of each."""

    def __init__(self) -> None:
        wiring: Any = SimpleNamespace(coordinator_settings=CoordinatorSettings(INTERVAL_S), services=list)
        super().__init__(wiring, self._poked)
        self.created: list[Process] = []
        self.born_with: Callable[[], Exception | None] = lambda: None
        self.pokes = 0

    def _poked(self) -> None:
        self.pokes += 1

    def _created(self, actor: type, name: str) -> Process:
        self.created.append(Process(name, self.born_with()))
        return self.created[-1]


@pytest.fixture
async def fleet(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fleet_module.ray, "kill", lambda handle: setattr(handle, "killed", True))
    monkeypatch.setattr(fleet_module, "local_node_id", lambda: "this node")
    fleet = Fleet()
    yield fleet
    await fleet.drain()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


Ensure = Callable[[RayFleet], Any]
ensuring = pytest.mark.parametrize(
    "ensure",
    [lambda fleet: fleet.ensure(["session-host-0"]), lambda fleet: fleet.ensure_gateways(["gateway-0"])],
    ids=["host", "gateway"],
)


@ensuring
async def test_a_process_whose_constructor_failed_is_started_again(fleet: Fleet, ensure: Ensure) -> None:
    fleet.born_with = lambda: STILLBORN
    await ensure(fleet)
    fleet.born_with = lambda: None
    await until(lambda: fleet.pokes > 0)
    await ensure(fleet)
    assert len(fleet.created) == 2
    await until(lambda: bool(fleet.created[1].calls))
    await asyncio.sleep(INTERVAL_S)
    await ensure(fleet)
    assert len(fleet.created) == 2


@ensuring
async def test_a_constructor_that_always_fails_does_not_spin(fleet: Fleet, ensure: Ensure) -> None:
    fleet.born_with = lambda: STILLBORN
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + 6 * INTERVAL_S
    while loop.time() < ends_s:
        await ensure(fleet)
        await asyncio.sleep(0.001)
    assert 2 <= len(fleet.created) <= 7


@ensuring
async def test_a_process_that_ray_restarts_keeps_its_handle(fleet: Fleet, ensure: Ensure) -> None:
    fleet.born_with = lambda: RESTARTING
    await ensure(fleet)
    await until(lambda: len(fleet.created[0].calls) > 1)
    fleet.created[0].error = None
    await ensure(fleet)
    assert len(fleet.created) == 1


async def test_a_gateway_that_takes_its_time_to_leave_holds_nothing_up(fleet: Fleet) -> None:
    await fleet.ensure_gateways(["gateway-0", "gateway-1"])
    leaving = fleet.created[1]
    leaving.may_drain.clear()
    async with asyncio.timeout(1):
        await fleet.ensure_gateways(["gateway-0"])
    await until(lambda: "drain" in leaving.calls)
    # Its name is taken until it has gone.
    await fleet.ensure_gateways(["gateway-0", "gateway-1"])
    assert len(fleet.created) == 2
    pokes = fleet.pokes
    leaving.may_drain.set()
    await until(lambda: leaving.killed and fleet.pokes > pokes)
    await fleet.ensure_gateways(["gateway-0", "gateway-1"])
    assert [process.name for process in fleet.created] == ["gateway-0", "gateway-1", "gateway-1"]


async def test_the_end_waits_for_those_that_are_leaving(fleet: Fleet) -> None:
    await fleet.ensure(["session-host-0"])
    await fleet.ensure_gateways(["gateway-0"])
    host, gateway = fleet.created
    gateway.may_drain.clear()
    await fleet.ensure_gateways([])
    draining = asyncio.create_task(fleet.drain())
    await until(lambda: "drain" in gateway.calls)
    assert not draining.done()
    assert "drain" not in host.calls
    gateway.may_drain.set()
    await draining
    assert gateway.killed
    assert host.killed
