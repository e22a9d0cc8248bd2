"""The streams over real sockets: who is let in, and who is believed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.cluster.sockets import SocketDialer, bind, serve
from runtime.identity import ActorId
from runtime.stream import Challenge, FrameReader, Hello, Misrouted, decode_to_router, frame, router_proof

SECRET = b"the cluster's"


class ListeningHost:
    """Answers every message with Misrouted."""

    incarnation = 7

    def __init__(self) -> None:
        self.links: list[Any] = []
        self.received: list[Any] = []

    def connected(self, link: Any) -> None:
        self.links.append(link)

    def disconnected(self, link: Any) -> None:
        self.links.remove(link)

    def receive(self, link: Any, messages: Any) -> None:
        for message in messages:
            self.received.append(message)
            link.send(Misrouted(message.ref))


@pytest.fixture(params=["unix", "tcp"])
async def listening(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[ListeningHost, str]]:
    host = ListeningHost()
    wanted = f"unix:{tmp_path}/h.sock" if request.param == "unix" else "tcp:127.0.0.1:0"
    listener, address = bind(wanted)
    server = await serve(host, listener, SECRET)  # type: ignore[arg-type]
    yield host, address
    server.close()


async def _dial(address: str, secret: bytes = SECRET, incarnation: int = 7) -> tuple[Any, list[Any]]:
    answers: list[Any] = []
    link = await SocketDialer("gateway-0", secret).dial(address, incarnation, answers.extend, lambda: None)
    return link, answers


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_messages_travel_both_ways(listening: tuple[ListeningHost, str]) -> None:
    from runtime.stream import Attach

    _, address = listening
    link, answers = await _dial(address)
    for ref in range(1000):
        link.send(Attach(ref, ActorId("session/ann"), None))
    await _until(lambda: len(answers) == 1000)
    assert [answer.ref for answer in answers] == list(range(1000))


async def test_a_wrong_secret_is_not_let_in(listening: tuple[ListeningHost, str]) -> None:
    host, address = listening
    with pytest.raises(ConnectionError):
        await _dial(address, secret=b"a guess")
    assert not host.links


async def test_another_incarnation_is_not_believed(listening: tuple[ListeningHost, str]) -> None:
    with pytest.raises(ConnectionError):
        await _dial(listening[1], incarnation=8)


async def _raw(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return await asyncio.open_unix_connection(rest)
    name, _, port = rest.rpartition(":")
    return await asyncio.open_connection(name, int(port))


async def test_a_hello_that_was_overheard_lets_nobody_in(listening: tuple[ListeningHost, str]) -> None:
    host, address = listening
    old = Challenge(b"0" * 16)
    overheard = Hello("gateway-0", b"n" * 16, router_proof(SECRET, old, b"n" * 16, "gateway-0"))
    reader, writer = await _raw(address)
    [payload] = FrameReader().feed(await reader.read(1024))
    assert isinstance(decode_to_router(payload)[0], Challenge)
    writer.write(frame([overheard]))
    assert await reader.read(1024) == b""
    assert not host.links
    writer.close()


async def test_a_stranger_cannot_make_the_host_hold_much(listening: tuple[ListeningHost, str]) -> None:
    _, address = listening
    reader, writer = await _raw(address)
    await reader.read(1024)
    writer.write((31 * 1024 * 1024).to_bytes(4, "big") + b"x" * 4096)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        assert await reader.readexactly(1)
    writer.close()
