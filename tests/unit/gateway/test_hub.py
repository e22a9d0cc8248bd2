"""One flush and one sweep for all sockets; the trouble of one is not the trouble of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.hub import Hub
from gateway.limits import Limits
from gateway.revocations import Verdict
from tests.unit.gateway.fakes import dependencies


class Socket:
    in_flight = 0

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.did: list[str] = []

    def flush(self) -> None:
        self.did.append("flush")
        if self.fails:
            raise ValueError

    def sweep(self, now: float) -> None:
        self.did.append("sweep")
        if self.fails:
            raise ValueError

    def signed_out(self, verdicts: Mapping[str, Verdict]) -> None:
        self.did.append(f"signed out {sorted(verdicts)}")
        if self.fails:
            raise ValueError

    def restart(self, code: int, reason: str) -> None:
        self.did.append(f"restart {code}")

    def abort(self) -> None:
        self.did.append("abort")


async def test_flush() -> None:
    hub = Hub(dependencies())
    hub.start()
    sockets = [Socket(), Socket(fails=True), Socket()]
    for socket in sockets:
        hub.flush_soon(socket)
    assert [socket.did for socket in sockets] == [[], [], []]
    await asyncio.sleep(0)
    assert [socket.did for socket in sockets] == [["flush"], ["flush", "abort"], ["flush"]]
    hub.flush_soon(sockets[0])
    await asyncio.sleep(0)
    assert sockets[0].did == ["flush", "flush"]
    hub.stop()


async def test_sweep_goes_on_until_stopped() -> None:
    hub = Hub(dependencies(Limits(sweep_interval_s=0.01)))
    bad, good = Socket(fails=True), Socket()
    hub.sockets |= {bad, good}
    hub.start()
    await asyncio.sleep(0.1)
    hub.stop()
    hub.stop()
    assert len(good.did) >= 2
    assert "abort" in bad.did
    seen = len(good.did)
    await asyncio.sleep(0.03)
    assert len(good.did) == seen


async def test_drain_aborts_what_does_not_go() -> None:
    hub = Hub(dependencies(Limits(drain_grace_s=0.01, close_deadline_s=0.01)))
    hub.start()
    socket = Socket()
    hub.sockets.add(socket)
    await hub.drain()
    assert socket.did == ["restart 1012", "abort"]
    hub.stop()


def test_a_sign_out_reaches_every_socket() -> None:
    hub = Hub(dependencies())
    bad, good = Socket(fails=True), Socket()
    hub.sockets |= {bad, good}
    hub.sign_out({"u_ann": Verdict(1, "ban")})
    assert good.did == ["signed out ['u_ann']"]
    assert bad.did == ["signed out ['u_ann']", "abort"]
