from time import time_ns
from typing import Any

import msgspec
import pytest

from benchmarks.crash.events import BettingOpened, CashedOut, Crashed, Feed, Tick
from benchmarks.measurements import quantiles_of


def take(feed: Feed, name: str, late_ms: int = 0, **data: Any) -> Any:
    raw = msgspec.Raw(msgspec.msgpack.encode({"table": "main", **data}))
    return feed.take(bytes(raw), name, time_ns() // 1_000_000 - late_ms, raw)


def test_events_are_counted_on_every_connection_and_decoded_once() -> None:
    feed = Feed()
    tick = take(feed, "crash_tick", 40, round=1, elapsed_ms=100, multiplier=1.01)
    assert tick == Tick(1, 100, 1.01)
    assert tick.hundredths == 101
    feed.again()
    feed.again()
    assert (feed.deliveries, feed.tick_deliveries, feed.ticks) == (3, 3, 1)
    assert feed.event is tick
    assert feed.tick_bytes == len(feed.payload)
    assert 39 <= quantiles_of([feed.lag.encoded()]).p50_ms < 5_000
    opened = take(feed, "crash_betting_opened", round=2, betting_ends_ms=5, server_ms=0)
    feed.again()
    assert opened == BettingOpened(2, 5)
    assert (feed.deliveries, feed.tick_deliveries) == (5, 3)


def test_only_new_ticks_of_the_same_round_are_timed() -> None:
    feed = Feed()
    for number, elapsed_ms in ((1, 0), (1, 100), (1, 0), (2, 0), (1, 100), (2, 100)):
        take(feed, "crash_tick", round=number, elapsed_ms=elapsed_ms, multiplier=1.0)
    assert (feed.deliveries, feed.ticks) == (6, 4)
    assert feed.running_ns >= feed.tick_gap_ns_max > 0


def test_ends_and_cash_outs() -> None:
    feed = Feed()
    told = [
        {"user_id": "a", "multiplier": 1.5, "payout": 3},
        {"user_id": "b", "multiplier": 1.2, "payout": 1},
    ]
    assert take(feed, "crash_cashed_out", round=3, cash_outs=told, cashed_out=2, paid=4) == CashedOut(
        3,
        feed.event.cash_outs,
        150,  # type: ignore[union-attr]
    )
    end = take(
        feed, "crash_crashed", round=3, crash_point=1.5, hash="ab", previous_hash="cd", ended="crashed"
    )
    assert end == Crashed(3, 1.5, "ab", "cd")
    assert feed.rounds_ended == {3}


def test_what_is_not_of_a_table() -> None:
    assert Feed().knows("crash_state")
    assert not Feed().knows("crash_bet_settled")
    with pytest.raises(msgspec.ValidationError, match="grid"):
        take(Feed(), "crash_tick", round=1, elapsed_ms=1, multiplier=1.001)
    with pytest.raises(msgspec.ValidationError):
        take(Feed(), "crash_tick", round=1)
