"""Data streams over Unix and TCP sockets: the I/O shell of ``runtime.stream``.

An address is ``unix:PATH`` or ``tcp:HOST:PORT``. Messages queue until the event loop has nothing
more urgent, then leave as one frame: batching follows the load.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runtime.host import Host
from runtime.journal import Incarnation
from runtime.stream import (
    FRAME_BYTES_MAX,
    GREETING_BYTES_MAX,
    NONCE_BYTES,
    Attach,
    Challenge,
    Deliver,
    Detach,
    FrameReader,
    Hello,
    Message,
    StreamError,
    ToRouter,
    Welcome,
    decode_to_host,
    decode_to_router,
    frames,
    host_proof,
    is_equal,
    router_proof,
)

_log = logging.getLogger(__name__)

SEND_BUFFER_BYTES_MAX = 64 * 1024 * 1024
"""A peer that does not read loses its stream; both sides recover from that."""
HELLO_DEADLINE_S = 5.0


class _Stream(asyncio.Protocol):
    """Framing and batching, for both ends."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(GREETING_BYTES_MAX)
        self._queue: list[Message] = []
        self._scheduled = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: Message) -> None:
        self._queue.append(message)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        transport = self.transport
        queue, self._queue = self._queue, []
        if transport is None or transport.is_closing() or not queue:
            return
        for part in frames(queue):
            transport.write(part)
        if transport.get_write_buffer_size() > SEND_BUFFER_BYTES_MAX:
            _log.warning("stream closed: the peer does not read")
            transport.abort()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._reader.feed(data):
                self.frame_received(payload)
        except StreamError as error:
            _log.warning("stream closed", extra={"reason": str(error)})
            self.close()

    def frame_received(self, payload: bytes) -> None:
        raise NotImplementedError


class _HostEnd(_Stream):
    """A host's end: lets a router in when it proves that it knows the secret."""

    def __init__(self, host: Host, secret: bytes) -> None:
        super().__init__()
        self._host = host
        self._secret = secret
        self._challenge = Challenge(os.urandom(NONCE_BYTES))
        self._is_open = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = self._loop.call_later(HELLO_DEADLINE_S, self.close)
        self.send(self._challenge)

    def frame_received(self, payload: bytes) -> None:
        messages: Sequence[Any] = decode_to_host(payload)
        if not self._is_open:
            self._greet(messages)
        elif any(type(message) is Hello for message in messages):
            raise StreamError("a second hello")
        else:
            work: Sequence[Deliver | Attach | Detach] = messages
            self._host.receive(self, work)

    def _greet(self, messages: Sequence[Any]) -> None:
        if len(messages) != 1 or not isinstance(messages[0], Hello):
            raise StreamError("a router begins with a hello, alone")
        hello = messages[0]
        expected = router_proof(self._secret, self._challenge, hello.nonce, hello.router)
        if len(hello.nonce) != NONCE_BYTES or not is_equal(hello.proof, expected):
            raise StreamError("the router did not prove that it belongs to the cluster")
        if self._deadline is not None:
            self._deadline.cancel()
        self._is_open = True
        self._reader.frame_bytes_max = FRAME_BYTES_MAX
        incarnation = self._host.incarnation
        proof = host_proof(self._secret, self._challenge, hello.nonce, incarnation)
        self.send(Welcome(incarnation, proof))
        self._host.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._is_open:
            self._host.disconnected(self)


def bind(address: str) -> tuple[socket.socket, str]:
    """A bound socket for an address, and the address others reach it by (``tcp:HOST:0`` gets a
    port). Raises ``OSError``."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        Path(rest).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(rest)
        Path(rest).chmod(0o600)
        return listener, address
    name, _, port = rest.rpartition(":")
    listener = socket.create_server((name, int(port)))
    return listener, f"tcp:{name}:{listener.getsockname()[1]}"


async def serve(host: Host, listener: socket.socket, secret: bytes) -> asyncio.Server:
    """Serve a host's data streams on a bound socket."""
    loop = asyncio.get_running_loop()
    if listener.family == socket.AF_UNIX:
        return await loop.create_unix_server(lambda: _HostEnd(host, secret), sock=listener)
    return await loop.create_server(lambda: _HostEnd(host, secret), sock=listener)


class _RouterEnd(_Stream):
    """A router's end: proves itself, and has the host prove that it is the one it looked for."""

    def __init__(
        self,
        name: str,
        secret: bytes,
        incarnation: Incarnation,
        on_messages: Callable[[Sequence[ToRouter]], None],
        on_closed: Callable[[], None],
    ) -> None:
        super().__init__()
        self._name = name
        self._secret = secret
        self._incarnation = incarnation
        self._on_messages = on_messages
        self._on_closed = on_closed
        self._nonce = os.urandom(NONCE_BYTES)
        self._challenge: Challenge | None = None
        self.welcomed: asyncio.Future[None] = self._loop.create_future()

    def frame_received(self, payload: bytes) -> None:
        messages = decode_to_router(payload)
        if self.welcomed.done():
            self._on_messages(messages)
            return
        for position, message in enumerate(messages):
            if isinstance(message, Challenge) and self._challenge is None:
                self._challenge = message
                proof = router_proof(self._secret, message, self._nonce, self._name)
                self.send(Hello(self._name, self._nonce, proof))
            elif isinstance(message, Welcome) and self._challenge is not None:
                expected = host_proof(self._secret, self._challenge, self._nonce, self._incarnation)
                if not is_equal(message.proof, expected):
                    raise StreamError("another host or incarnation answered")
                self._reader.frame_bytes_max = FRAME_BYTES_MAX
                self.welcomed.set_result(None)
                if messages[position + 1 :]:
                    self._on_messages(messages[position + 1 :])
                return
            else:
                raise StreamError("the host did not greet")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.welcomed.done():
            self.welcomed.set_exception(ConnectionError("the host hung up"))
            self.welcomed.exception()  # seen, even when the dialler has given up
        elif not self.welcomed.cancelled():
            self._on_closed()


class SocketDialer:
    """Opens data streams; see ``runtime.router.Dialer``."""

    def __init__(self, name: str, secret: bytes) -> None:
        self._name = name
        self._secret = secret

    async def dial(
        self,
        address: str,
        incarnation: Incarnation,
        on_messages: Callable[[Sequence[ToRouter]], None],
        on_closed: Callable[[], None],
    ) -> _RouterEnd:
        loop = asyncio.get_running_loop()
        scheme, _, rest = address.partition(":")

        def end() -> _RouterEnd:
            return _RouterEnd(self._name, self._secret, incarnation, on_messages, on_closed)

        async with asyncio.timeout(HELLO_DEADLINE_S):
            if scheme == "unix":
                _, stream = await loop.create_unix_connection(end, rest)
            else:
                name, _, port = rest.rpartition(":")
                _, stream = await loop.create_connection(end, name, int(port))
            try:
                await stream.welcomed
            except BaseException:
                stream.close()
                raise
        return stream
