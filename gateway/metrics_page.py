"""``/metrics`` on the public port: for those who stand next to the gateway, and nobody else.

How many people play, log in and fail to is nobody's business on the internet. So it answers to loopback
and to configured addresses; to the rest there is no such page. A request that came through a proxy is
refused whatever its address: where the proxy is on this machine, and not known as trusted, that would be
loopback for everybody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from gateway.metrics import CONTENT_TYPE, GatewayMetrics

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def metrics_page(metrics: GatewayMetrics, readers: Sequence[str]) -> APIRouter:
    """``readers``: addresses or networks, beside loopback."""
    networks = [ipaddress.ip_network(reader, strict=False) for reader in readers]
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)
    async def page(request: Request) -> Response:
        host = request.client.host if request.client is not None else ""
        if any(header in request.headers for header in _FORWARDED) or not _may_read(host, networks):
            raise HTTPException(404)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return router


def _may_read(host: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or any(address in network for network in networks)
