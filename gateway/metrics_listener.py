"""``/metrics`` on a port of its own. The gateways of a machine share their public port, and who is
scraped there is a matter of luck; here it is always this process.

Whoever can reach the port may read: it listens where scrapers are, by default on loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.metrics import CONTENT_TYPE, GatewayMetrics

_CONNECTIONS_MAX = 32
_GRACEFUL_SHUTDOWN_S = 1


class _QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class MetricsListener:
    """``port`` is where it listens, which with ``start(host, 0)`` the system chooses."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        async def page(_: Request) -> Response:
            return Response(metrics.text(), media_type=CONTENT_TYPE)

        self._app = Starlette(routes=[Route("/metrics", page)])
        self._server: _QuietServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Raises ``OSError`` when the address cannot be had."""
        config = uvicorn.Config(
            self._app,
            host=host,
            port=port,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS_MAX,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
        )
        listener = _bound(host, port)
        self.port = listener.getsockname()[1]
        self._server = _QuietServer(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        """Idempotent."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.gather(self._serving, return_exceptions=True)
            self._server = None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_CONNECTIONS_MAX)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
