from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from benchmarks.lean_connection import EventCounter, Header, LeanConnection, connect
from clients.protocol import SequenceTracker


class Owner:
    def __init__(self) -> None:
        self.answers: list[Header] = []
        self.ended = asyncio.Event()

    def answered(self, connection: LeanConnection, header: Header) -> None:
        self.answers.append(header)

    def disconnected(self, connection: LeanConnection) -> None:
        self.ended.set()


class Conversation:
    def __init__(self) -> None:
        self.owner, self.tracker, self.counter = Owner(), SequenceTracker(), EventCounter()
        self.received: list[Any] = []
        self.connection: LeanConnection


@asynccontextmanager
async def told(*payloads: bytes, close: int | None = None) -> AsyncIterator[Conversation]:
    """A connection to a server that says ``payloads``, and perhaps closes."""
    talk = Conversation()

    async def say(socket: ServerConnection) -> None:
        for payload in payloads:
            await socket.send(payload)
        if close is not None:
            await socket.close(close, "why")
        async for message in socket:
            talk.received.append(message)

    subprotocols = [Subprotocol("casino.v1.msgpack")]
    async with serve(say, "127.0.0.1", 0, subprotocols=subprotocols, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        talk.connection = LeanConnection(talk.owner, talk.tracker, talk.counter)
        await connect(url, talk.connection)
        yield talk
        talk.connection.drop()


def event(seq: int | None, kind: str = "profile_update", **data: Any) -> bytes:
    return msgpack.packb({"type": kind, "user_id": "u", "data": data, "timestamp": 1, "seq": seq})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


async def test_events_are_counted_in_order_and_answers_handed_on() -> None:
    result = msgpack.packb({"type": "result", "id": "a", "data": {"gold_balance": 5}})
    first = event(4, "initial_state", gold_balance=1)
    async with told(
        event(None, "sync_connected"), first, event(5, changes={}), event(5), event(6), result
    ) as talk:
        await until(lambda: len(talk.owner.answers) == 2)
        assert [answer.type for answer in talk.owner.answers] == ["sync_connected", "result"]
        assert talk.owner.answers[1].id == "a"
        assert msgpack.unpackb(bytes(talk.owner.answers[1].data)) == {"gold_balance": 5}
        assert (talk.tracker.last, talk.tracker.duplicates, talk.tracker.gaps) == (6, 1, 0)
        assert (talk.counter.events, talk.counter.snapshots) == (2, 1)
        assert talk.connection.last_profile is not None
        assert msgpack.unpackb(bytes(talk.connection.last_profile)) == {}


async def test_a_gap_ends_it_before_anything_else_is_heard() -> None:
    async with told(event(4, "initial_state"), event(6), event(5)) as talk:
        await asyncio.wait_for(talk.owner.ended.wait(), 5)
        assert (talk.tracker.last, talk.tracker.gaps) == (4, 1)


@pytest.mark.parametrize("payload", [b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa4type\x05"])
async def test_a_malformed_frame_ends_it(payload: bytes) -> None:
    async with told(payload) as talk:
        await asyncio.wait_for(talk.owner.ended.wait(), 5)
        assert talk.counter.malformed_frames == 1


async def test_close_codes_outside_the_standard_are_understood() -> None:
    async with told(close=4413) as talk:
        await asyncio.wait_for(talk.owner.ended.wait(), 5)
        assert (talk.connection.close_code, talk.connection.close_reason) == (4413, "why")
        talk.connection.send(b"into the void")


async def test_what_is_sent_arrives() -> None:
    async with told() as talk:
        talk.connection.send(b"one")
        talk.connection.send(b"two" * 100)
        await until(lambda: len(talk.received) == 2)
        assert talk.received == [b"one", b"two" * 100]
        talk.connection.close()
        await asyncio.wait_for(talk.owner.ended.wait(), 5)


async def test_nobody_there() -> None:
    with pytest.raises(ConnectionError):
        await connect("ws://127.0.0.1:9", LeanConnection(Owner(), SequenceTracker(), EventCounter()), 1.0)
