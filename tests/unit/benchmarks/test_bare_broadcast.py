import asyncio

import msgspec
import pytest

from benchmarks.bare_broadcast import BareServer, framed, tick_payload
from benchmarks.crash.watchers import WatcherCrowd
from benchmarks.measurements import quantiles_of
from benchmarks.options import WatchOptions


@pytest.mark.parametrize("size", [105, 108, 120, 126, 140, 200])
def test_a_frame_of_the_size_asked_for(size: int) -> None:
    payload = tick_payload(size, 3, 1_700_000_000_000)
    assert abs(len(payload) - size) <= 1
    event = msgspec.msgpack.decode(payload)
    assert (event["type"], event["timestamp"], event["data"]["round"]) == ("crash_tick", 1_700_000_000_000, 1)
    frame = framed(payload)
    assert frame.endswith(payload)
    assert len(frame) - len(payload) == (2 if len(payload) < 126 else 4)


async def test_watchers_hear_it_tick_and_flood() -> None:
    server = BareServer()
    options = WatchOptions(url=f"http://127.0.0.1:{await server.start()}", players=20, bare=True)
    async with WatcherCrowd(options) as crowd:
        await crowd.gather()
        assert len(server.writable) == 20
        crowd.play()
        await server.obey("tick 108")
        async with asyncio.timeout(5):
            while crowd.feed.ticks < 4:
                await asyncio.sleep(0.01)
        await server.obey("idle")
        await asyncio.sleep(0.05)
        heard = crowd.status()
        assert heard.deliveries == heard.tick_deliveries == heard.ticks * 20
        assert heard.listening == 20
        assert abs(heard.tick_bytes - 108) <= 1
        assert 0 < quantiles_of([heard.lag]).p50_ms < 5_000
        await server.obey("flood 108")
        async with asyncio.timeout(5):
            while crowd.feed.deliveries < 4_000:
                await asyncio.sleep(0.01)
        with pytest.raises(ValueError, match="no such order"):
            await server.obey("sing")
        await crowd.mute()
        await crowd.stop()
        assert crowd.result().deliveries >= 4_000
    await server.stop()
