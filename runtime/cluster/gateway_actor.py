"""A gateway as a Ray actor: the process around whatever the wiring calls a gateway."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from runtime.clock import SystemClock
from runtime.cluster.directory import CoordinatorClient
from runtime.cluster.sockets import SocketDialer
from runtime.cluster.wiring import Wiring
from runtime.router import Router
from runtime.routing import PushListener

_log = logging.getLogger(__name__)


class Gateway:
    """Everything an operator or the coordinator can ask of a gateway."""

    async def __init__(self, name: str, wiring: Wiring) -> None:  # type: ignore[misc]  # Ray awaits it
        wiring.set_up_process(name)
        self._name = name
        self._wiring = wiring
        self._router: Router | None = None
        self._gateway = await wiring.open_gateway(name, self._make_router)
        if self._router is not None:
            self._router.start()
        while True:
            try:
                await self._gateway.start()
                break
            except OSError as error:
                # The port of a gateway that has just died may be busy for a moment.
                _log.warning("cannot listen yet", extra={"reason": str(error)})
                await asyncio.sleep(0.2)

    def __repr__(self) -> str:
        return f"Gateway({self._name}, pid {os.getpid()})"

    def _make_router(self, listener: PushListener) -> Router:
        self._router = Router(
            {behavior.kind: behavior.placement for behavior in self._wiring.behaviors()},
            CoordinatorClient(),
            SocketDialer(self._name, self._wiring.cluster_secret),
            SystemClock(),
            self._wiring.router_settings,
            listener,
        )
        return self._router

    async def drain(self) -> None:
        """Send every client elsewhere."""
        await self._gateway.stop()
        if self._router is not None:
            await self._router.stop()

    async def status(self) -> dict[str, Any]:
        """Figures for an operator."""
        calls = self._router.calls_in_flight if self._router is not None else 0
        return {
            "name": self._name,
            "pid": os.getpid(),
            "calls_in_flight": calls,
            **self._gateway.status(),
        }
