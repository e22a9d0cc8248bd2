import asyncio

import pytest

from clients.errors import AuthenticationFailed
from clients.protocol import Event
from clients.subscription import EventStream


def event(seq: int) -> Event:
    return Event("x", "u", {}, 1, seq)


async def test_overflow_drops_the_oldest_and_counts() -> None:
    stream = EventStream(3, lambda stream: None)
    for seq in range(5):
        stream.put(event(seq))
    assert stream.dropped == 2
    stream.finish(None)
    assert [item.seq async for item in stream] == [2, 3, 4]


async def test_a_waiting_reader_is_woken() -> None:
    stream = EventStream(3, lambda stream: None)
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    stream.put(event(1))
    assert (await asyncio.wait_for(reader, 1)).seq == 1


async def test_the_clients_failure_reaches_the_reader_after_what_came_before() -> None:
    stream = EventStream(3, lambda stream: None)
    stream.put(event(1))
    stream.finish(AuthenticationFailed("token_expired", ""))
    assert (await anext(stream)).seq == 1
    with pytest.raises(AuthenticationFailed):
        await anext(stream)


async def test_closing_unsubscribes() -> None:
    closed: list[EventStream] = []
    stream = EventStream(3, closed.append)
    stream.close()
    assert closed == [stream]
    assert [item async for item in stream] == []


async def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="events_max"):
        EventStream(0, lambda stream: None)
