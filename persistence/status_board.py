"""What each process says of itself, for any other to read: in Redis, and forgotten after seconds.

One key per process, ``casino:status:<process>``. Losing all of it loses nothing: it is written anew
every second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

_AREA = "casino:status:"
_TIME_TO_LIVE_MS = 10_000
_PROCESSES_MAX = 10_000


class BoardUnavailable(RuntimeError):
    """The board could not be reached in time. It says nothing about the processes."""


class StatusBoard:
    def __init__(self, url: str, *, timeout_s: float = 1.0) -> None:
        self._timeout_s = timeout_s
        self._client = redis.asyncio.Redis.from_url(
            url, max_connections=4, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def write(self, process: str, status: Mapping[str, Any]) -> None:
        """Replace what the process said before. Raises :class:`BoardUnavailable`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.set(_AREA + process, msgspec.json.encode(status), px=_TIME_TO_LIVE_MS)
        except (RedisError, OSError, TimeoutError) as error:
            raise BoardUnavailable(str(error)) from error

    async def read(self) -> dict[str, dict[str, Any]]:
        """What every living process said last, by its name. Raises :class:`BoardUnavailable`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                keys = [key async for key in self._client.scan_iter(match=_AREA + "*", count=1000)]
                keys = keys[:_PROCESSES_MAX]
                values = await self._client.mget(keys) if keys else []
        except (RedisError, OSError, TimeoutError) as error:
            raise BoardUnavailable(str(error)) from error
        return {
            key.decode().removeprefix(_AREA): msgspec.json.decode(value)
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }
