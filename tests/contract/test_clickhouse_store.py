"""What the relay, and those who ask questions, may rely on."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import msgspec
import pytest

from persistence.clickhouse.client import ClickHouse, StoreUnavailable
from persistence.clickhouse.store import ClickHouseStore, StoreSettings
from runtime.clock import SystemClock
from runtime.relay import PublishFailed, PublishRefused
from tests.contract.clickhouse_engines import ask, directory, http_server, opened, spin, tell, turn

AT_ONCE = StoreSettings(insert_interval_s=0)
SEEDS_FIRST = (
    "SELECT action_type, count() FROM events WHERE ts > now() - INTERVAL 1 HOUR"
    " GROUP BY action_type ORDER BY count() DESC"
)
SEEDS_SECOND = (
    "SELECT user_id, sum(wins) AS w, sum(losses) AS l FROM game_stats WHERE date >= today()-7"
    " GROUP BY user_id ORDER BY w DESC LIMIT 50"
)


@pytest.fixture
def store(clickhouse: ClickHouse) -> ClickHouseStore:
    return ClickHouseStore(clickhouse, SystemClock(), AT_ONCE)


def now_ms() -> int:
    return int(time.time() * 1000)


async def test_the_seeds_queries_count_every_event_once(
    clickhouse: ClickHouse, store: ClickHouseStore
) -> None:
    now = now_ms()
    logged = {"type": "action_logged", "action_type": "opened_shop", "context": {}}
    turns = [
        turn("session/ann", 1, spin(30), spin(0), spin(10), at_ms=now),
        turn("session/ann", 2, logged, at_ms=now - 60_000),
        turn("session/ben", 1, spin(0), spin(0), at_ms=now - 120_000),
        turn("session/ben", 2, spin(50), at_ms=now - 2 * 3_600_000),
        turn("session/ben", 3, spin(50), at_ms=now - 30 * 86_400_000),
        turn("crash/main", 1, {"type": "crash_round_ended", "redacted": True}, at_ms=now),
    ]
    await store.prepare()
    await tell(clickhouse, "SYSTEM STOP MERGES event_log")
    await store.publish(turns)
    await store.publish(turns[:3])
    await store.publish(turns[1:])
    assert await ask(clickhouse, "SELECT count() FROM event_log") == [(9 + 6 + 6,)]
    rows = await ask(clickhouse, SEEDS_FIRST)
    assert rows[0] == ("slots_spun", 5)
    assert sorted(rows[1:]) == [("crash_round_ended", 1), ("opened_shop", 1)]
    assert sorted(await ask(clickhouse, SEEDS_SECOND)) == [("ann", 1, 1), ("ben", 1, 2)]
    statistics = await ask(
        clickhouse,
        "SELECT user_id, game_type, sum(plays), sum(wagered), sum(won) FROM game_stats"
        " WHERE date >= today()-7 GROUP BY user_id, game_type ORDER BY user_id",
    )
    assert statistics == [("ann", "slots", 3, 30, 40), ("ben", "slots", 3, 30, 50)]


@pytest.mark.parametrize(
    "query",
    [
        SEEDS_FIRST,
        SEEDS_SECOND,
        "SELECT data FROM events WHERE user_id = 'u_7' AND ts > now() - INTERVAL 1 DAY ORDER BY ts",
    ],
)
async def test_questions_about_a_time_do_not_read_all_of_it(
    clickhouse: ClickHouse, store: ClickHouseStore, query: str
) -> None:
    now = now_ms()
    for days in (0, 20, 40, 60):
        await store.publish(
            [turn(f"session/u_{n}", 1, spin(0), at_ms=now - days * 86_400_000) for n in range(50)]
        )
    plan = [line.strip() for (line,) in await ask(clickhouse, f"EXPLAIN indexes = 1 {query}")]
    by_key = plan[next(number for number, line in enumerate(plan) if line.endswith("PrimaryKey")) :]
    assert next(line for line in by_key if "Parts:" in line).endswith("1/4")


async def test_a_row_has_what_its_event_had(clickhouse: ClickHouse, store: ClickHouseStore) -> None:
    now = now_ms()
    event = spin(30, stake=20)
    await store.publish([turn("session/ann", 7, {"type": "x"}, event, at_ms=now, command_id="client-1")])
    rows = await ask(
        clickhouse,
        "SELECT toUnixTimestamp64Milli(ts), event_type, action_type, user_id, actor, seq, `index`,"
        " command_id, game, stake, payout, wins, losses, data FROM events ORDER BY `index`",
    )
    ann = ("ann", "session/ann", 7)
    assert rows[0][:-1] == (now, "x", "x", *ann, 0, "client-1", "", 0, 0, 0, 0)
    assert rows[1][:-1] == (now, "slots_spun", "slots_spun", *ann, 1, "client-1", "slots", 20, 30, 1, 0)
    assert msgspec.json.decode(rows[1][-1]) == event


ODD: list[dict[str, Any] | bytes] = [
    {"type": "", "game": "slots", "stake": 1, "payout": 2**200},
    {"type": "a", "game": "slots", "stake": -(2**63), "payout": 2**63 - 1},
    {"type": "a", "game": 7, "stake": "1", "payout": None, "action_type": ["x"]},
    {"type": "a", "game": "slots", "stake": 1.5, "payout": True},
    {"type": "привет\n\t'\\\"\x00😀", "action_type": "x" * 10_000, "text": "\x00" * 300},
    {"type": "a", "redacted": True},
    b'{"type":"first","type":"last"}',
    b'{"type":"a","game":"slots","stake":1e400,"payout":1}',
    b'{"type":"a","x":' + b"[" * 200 + b"]" * 200 + b"}",
]


async def test_no_value_of_an_event_stops_the_stream(clickhouse: ClickHouse, store: ClickHouseStore) -> None:
    await store.publish([turn("session/ann", seq, event) for seq, event in enumerate(ODD)])
    rows = await ask(clickhouse, "SELECT event_type, game, stake, payout, data FROM events ORDER BY seq")
    assert len(rows) == len(ODD)
    assert rows[1][:4] == ("a", "slots", -(2**63), 2**63 - 1)
    assert [row[1] for row in rows].count("slots") == 1
    assert rows[4][0] == "привет\n\t'\\\"\x00😀"
    assert rows[6][0] == "last"
    for row, event in zip(rows, ODD, strict=True):
        assert row[-1].encode() == (event if isinstance(event, bytes) else msgspec.json.encode(event))


async def test_names_of_actors_and_commands_are_kept_byte_by_byte(
    clickhouse: ClickHouse, store: ClickHouseStore
) -> None:
    names = ["a'b", "a\\b", "a\nb", "a\x00b", "ä😀", "a" * 5000, "x/y"]
    await store.publish([turn(f"session/{name}", 1, {"type": "a"}, command_id=name) for name in names])
    rows = await ask(clickhouse, "SELECT user_id, actor, command_id FROM events")
    assert sorted(rows) == sorted((name, f"session/{name}", name) for name in names)


NEVER = [
    turn("session/bad", 2, b"[1]"),
    turn("session/bad", 2, b'{"no":"type"}'),
    turn("session/bad", 2, b'{"type":7}'),
    turn("session/bad", 2, b'{"type":'),
    turn("session/bad", 2, b'{"type":"a","stake":"\xff"}'),
    turn("session/bad", 2, b'{"type":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    turn("session/bad", 2, {"type": "a"}, at_ms=-1),
    turn("session/bad", 2, {"type": "a"}, at_ms=2**62),
]


@pytest.mark.parametrize("bad", NEVER)
async def test_a_turn_that_no_row_can_hold_is_named(
    clickhouse: ClickHouse, store: ClickHouseStore, bad: Any
) -> None:
    good = [turn("session/ann", 1, spin(0)), turn("session/ben", 1, spin(0))]
    with pytest.raises(PublishRefused) as refused:
        await store.publish([good[0], bad, good[1]])
    assert (refused.value.actor, refused.value.seq) == ("session/bad", 2)
    await store.publish(good)
    assert await ask(clickhouse, "SELECT count() FROM events") == [(2,)]


async def test_a_turn_that_the_engine_refuses_is_named() -> None:
    with directory() as path:
        settings = {"format_binary_max_string_size": 1000}
        async with opened(path, settings=settings) as clickhouse:
            store = ClickHouseStore(clickhouse, SystemClock(), AT_ONCE)
            turns = [turn("session/ann", seq, spin(0)) for seq in range(9)]
            turns[5] = turn("session/ann", 5, {"type": "a", "text": "x" * 2000})
            with pytest.raises(PublishRefused) as refused:
                await store.publish(turns)
            assert refused.value.seq == 5
            await store.publish(turns[:5] + turns[6:])
            assert await ask(clickhouse, "SELECT count() FROM events") == [(8,)]
            assert store.statistics.insert_errors == 1


async def test_when_no_turn_is_taken_it_is_not_the_turns() -> None:
    """Somebody has changed the table, or hung something on it: events wait until that is mended."""
    with directory() as path:
        async with opened(path, settings={"format_binary_max_string_size": 10}) as clickhouse:
            store = ClickHouseStore(clickhouse, SystemClock(), AT_ONCE)
            turns = [turn("session/ann", seq, spin(0)) for seq in range(64)]
            with pytest.raises(PublishFailed, match="no turn is taken"):
                await store.publish(turns)
            with pytest.raises(PublishRefused):
                await store.publish(turns[:1])


async def test_what_waited_for_months_is_taken(clickhouse: ClickHouse, store: ClickHouseStore) -> None:
    day_ms = 86_400_000
    await store.publish(
        [turn("session/ann", day + 1, spin(0), at_ms=now_ms() - day * day_ms) for day in range(200)]
    )
    assert await ask(clickhouse, "SELECT count() FROM events") == [(200,)]


async def test_large_batches_go_in_several_inserts(clickhouse: ClickHouse) -> None:
    store = ClickHouseStore(
        clickhouse, SystemClock(), StoreSettings(insert_interval_s=0, rows_per_insert_max=100)
    )
    await store.publish([turn("session/ann", seq, *[spin(0)] * 30) for seq in range(10)])
    assert store.statistics.inserts == math.ceil(10 / 3)
    await store.publish([turn("session/ben", 1, *[spin(0)] * 250)])
    assert store.statistics.rows == 550
    assert await ask(clickhouse, "SELECT count() FROM events") == [(550,)]


async def test_turns_without_events_are_no_insert(store: ClickHouseStore) -> None:
    await store.publish([])
    await store.publish([turn("session/ann", 1)])
    assert store.statistics.inserts == 0


async def test_health_is_of_what_is_there(clickhouse: ClickHouse, store: ClickHouseStore) -> None:
    await store.prepare()
    assert await store.health() == (0, 0, None, 0, 0)
    now = now_ms()
    await store.publish(
        [
            turn("session/ann", 1, spin(0), at_ms=now - 86_400_000),
            turn("session/ann", 2, spin(0), spin(0), at_ms=now),
        ]
    )
    health = await store.health()
    assert health[:3] == (3, 2, now)
    assert health.bytes_on_disk > 0
    assert health.parts == 2


async def test_a_server_that_hangs_fails_the_call_and_is_found_again() -> None:
    with directory() as path, http_server(path) as server:
        async with opened(server.url, timeout_s=2.0) as clickhouse:
            store = ClickHouseStore(clickhouse, SystemClock(), AT_ONCE)
            await store.publish([turn("session/ann", 1, spin(0))])
            server.stop()
            for _ in range(2):
                with pytest.raises(PublishFailed):
                    await store.publish([turn("session/ann", 2, spin(0))])
            with pytest.raises(StoreUnavailable):
                await store.health()
            server.resume()
            await store.publish([turn("session/ann", 2, spin(0))])
            assert await ask(clickhouse, "SELECT count() FROM events") == [(2,)]


async def test_nobody_there_is_a_failure_that_may_pass() -> None:
    clickhouse = ClickHouse("http://default:x@127.0.0.1:9/games")
    store = ClickHouseStore(clickhouse, SystemClock())
    with pytest.raises(PublishFailed):
        await store.publish([turn("session/ann", 1, spin(0))])
    assert "x@" not in repr(clickhouse)
    await store.close()


async def test_concurrent_publications_are_one_after_the_other(
    clickhouse: ClickHouse, store: ClickHouseStore
) -> None:
    batches = [[turn(f"session/{name}", seq, spin(0)) for seq in range(100)] for name in range(8)]
    await asyncio.gather(*(store.publish(batch) for batch in batches + batches))
    assert await ask(clickhouse, "SELECT count(), uniqExact(actor, seq) FROM events") == [(800, 800)]
