"""One hop between two processes, alone: a Unix socket, a frame there, a frame back, and nothing in them.

``python -m benchmarks.baselines.stream_hop SOCKET`` is the far end. Owns the floor of what a stream
between gateway and host can be: the same framing, the sizes of one spin's frames, no encoding.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic_ns
from typing import cast

import uvloop

REQUEST_BYTES = 96
"""A frame with one command: actor, id, name, data."""
REPLY_BYTES = 512
"""A frame with one result and the three events beside it."""
_HEADER_BYTES = 4
_START_DEADLINE_S = 20.0


def frame(payload_bytes: int) -> bytes:
    return payload_bytes.to_bytes(_HEADER_BYTES, "big") + bytes(payload_bytes)


class _End(asyncio.Protocol):
    """Calls ``on_frame`` with the transport for each frame that has come."""

    def __init__(self, on_frame: Callable[[asyncio.Transport], None]) -> None:
        self._on_frame = on_frame
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _HEADER_BYTES:
            end = _HEADER_BYTES + int.from_bytes(buffer[:_HEADER_BYTES], "big")
            if len(buffer) < end:
                return
            del buffer[:end]
            assert self._transport is not None
            self._on_frame(self._transport)


class Hop:
    """The near end. One request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._request = frame(REQUEST_BYTES)
        self._began_ns = 0
        self._done: asyncio.Future[int] | None = None

    async def connect(self, path: Path) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_unix_connection(lambda: _End(self._answered), str(path))

    async def there_and_back(self) -> int:
        """How long it took, in ns."""
        assert self._transport is not None
        self._done = asyncio.get_running_loop().create_future()
        self._began_ns = monotonic_ns()
        self._transport.write(self._request)
        return await self._done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answered(self, transport: asyncio.Transport) -> None:
        now_ns = monotonic_ns()
        if self._done is not None and not self._done.done():
            self._done.set_result(now_ns - self._began_ns)


@asynccontextmanager
async def far_end(folder: Path) -> AsyncIterator[Hop]:
    """A connection to a process of its own, which ends with the context. ``folder`` must have a short
    path: a socket is made in it."""
    path = folder / "hop.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.baselines.stream_hop", str(path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    hop = Hop()
    try:
        async with asyncio.timeout(_START_DEADLINE_S):
            if not await process.stdout.readline():
                raise RuntimeError(f"the far end of the stream ended with {await process.wait()}")
            await hop.connect(path)
        yield hop
    finally:
        hop.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serve(path: Path) -> None:
    loop = asyncio.get_running_loop()
    reply = frame(REPLY_BYTES)
    server = await loop.create_unix_server(lambda: _End(lambda peer: peer.write(reply)), str(path))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    # Whoever started this has ended when its input has.
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await orders.read()
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
