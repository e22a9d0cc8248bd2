from collections.abc import Sequence

import msgspec
import pytest

from deploy.recent_turns import RecentTurns
from runtime.envelope import TurnEvents, decode_envelope, encode_envelope
from runtime.identity import ActorId
from runtime.relay import PublishFailed


class Taker:
    is_away = False
    is_closed = False

    async def publish(self, turns: Sequence[TurnEvents]) -> None:
        if self.is_away:
            raise PublishFailed("away")

    async def close(self) -> None:
        self.is_closed = True


def turn(seq: int, event: bytes = b'{"type":"slots_spun","won":3}') -> TurnEvents:
    return TurnEvents(ActorId("session/u_1"), seq, f"c{seq}", 1000, [msgspec.Raw(event)])


async def test_the_latest_twenty_are_shown_as_they_left_the_house() -> None:
    recent = RecentTurns(Taker())
    await recent.publish([turn(seq) for seq in range(1, 10)])
    await recent.publish([turn(seq) for seq in range(10, 31)])
    assert [each["seq"] for each in recent.shown()] == list(range(11, 31))
    envelope = encode_envelope(turn(30))
    assert recent.shown()[-1] == msgspec.json.decode(envelope)
    assert decode_envelope(envelope) == turn(30)


async def test_a_large_turn_is_shown_without_its_events() -> None:
    recent = RecentTurns(Taker())
    large = msgspec.json.encode({"type": "note", "text": "x" * 20_000})
    await recent.publish([turn(1, large)])
    [shown] = recent.shown()
    assert (shown["events"], shown["omitted_bytes"]) == ([], len(large))


async def test_what_was_not_taken_is_not_shown() -> None:
    taker = Taker()
    recent = RecentTurns(taker)
    taker.is_away = True
    with pytest.raises(PublishFailed):
        await recent.publish([turn(1)])
    assert recent.shown() == []
    await recent.close()
    assert taker.is_closed
