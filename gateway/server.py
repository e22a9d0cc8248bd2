"""A gateway process: uvicorn on the running event loop, with our HTTP and WebSocket protocols.

Owns starting, draining and stopping. Several processes may share one port (SO_REUSEPORT).
Installs no signal handlers: whoever runs it calls ``stop``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from functools import partial
from typing import Any

import uvicorn

from gateway.app import create_app
from gateway.counters import Counters
from gateway.dependencies import GatewayDependencies
from gateway.http_protocol import GuardedHttpProtocol
from gateway.hub import Hub
from gateway.revocations import RevocationWatch
from gateway.websocket import RealtimeSocket

_BACKLOG = 4096
_GRACEFUL_SHUTDOWN_S = 5


class _QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class GatewayServer:
    """Serves until ``stop``."""

    def __init__(self, dependencies: GatewayDependencies) -> None:
        dependencies.fanout.bind(dependencies.router)
        dependencies.topics.bind(dependencies.router)
        self._dependencies = dependencies
        self._hub = Hub(dependencies)
        feed = dependencies.revocation_feed
        revocations = dependencies.tokens.revocations
        limits = dependencies.limits
        # A sweep may be late by its own time.
        age_max_s = revocations.kept_s + limits.token_grace_s + 2 * limits.sweep_interval_s
        clock = dependencies.clock
        self._revocations = (
            RevocationWatch(feed, revocations, self._hub.sign_out, clock, age_max_s) if feed else None
        )
        self._server: _QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._port = 0

    @property
    def counters(self) -> Counters:
        return self._hub.counters

    @property
    def port(self) -> int:
        """The port it listens on; useful after ``start(host, 0)``."""
        return self._port

    async def start(self, host: str, port: int) -> None:
        """Listen. Returns when it takes traffic.

        Raises ``OSError`` when the address cannot be had.
        """
        if self._revocations is not None:
            # Before that nobody knows which tokens are void.
            await self._revocations.start()
        limits = self._dependencies.limits
        self._socket = _listening_socket(host, port, limits.kernel_unsent_bytes_max)
        self._port = self._socket.getsockname()[1]
        self._hub.start()
        # uvicorn takes any callable; its annotations ask for classes.
        http: Any = partial(GuardedHttpProtocol, limits)
        ws: Any = partial(RealtimeSocket, self._hub)
        config = uvicorn.Config(
            create_app(self._dependencies, self._hub),
            http=http,
            ws=ws,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(self._dependencies.trusted_proxies),
            forwarded_allow_ips=list(self._dependencies.trusted_proxies),
            limit_concurrency=limits.connections_max,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
        )
        self._server = _QuietServer(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise RuntimeError("uvicorn ended before it started")
            await asyncio.sleep(0.005)

    async def drain(self) -> None:
        """Take no more connections, answer what is in flight, and send every client elsewhere (1012)."""
        if self._server is not None:
            for listener in getattr(self._server, "servers", []):
                listener.close()
        await self._hub.drain()

    async def stop(self) -> None:
        """Drain, and end. Idempotent."""
        if self._server is not None and self._serving is not None:
            await self.drain()
            self._server.should_exit = True
            await self._serving
            self._hub.stop()
            if self._socket is not None:
                self._socket.close()
            self._server = None
        # Last of all: until then there are answers, which the banned must not get.
        if self._revocations is not None:
            await self._revocations.stop()


def _listening_socket(host: str, port: int, kernel_unsent_bytes_max: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is spelled out; with it on, a
    # second small write waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kernel_unsent_bytes_max and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Connections inherit it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, kernel_unsent_bytes_max)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
