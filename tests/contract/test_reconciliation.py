"""Whatever the analytics store lacks, or has too much of, is found, and what can be is repaired."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from random import Random

import msgspec
import pytest

from persistence.clickhouse.client import ClickHouse
from persistence.clickhouse.event_counts import EventCounts
from persistence.clickhouse.store import ClickHouseStore, StoreSettings
from persistence.postgres.journal_counts import JournalCounts
from persistence.reconciliation import HOUR_MS, Progress, Reconciliation, Report
from runtime.clock import SystemClock
from runtime.envelope import events_of
from runtime.journal import StoredTurn, TurnRecord
from runtime.relay import EventPublisher, PublishFailed, PublishRefused
from runtime.turn import encode
from tests.contract import turns as records
from tests.contract.clickhouse_engines import NOW_MS, ask, tell
from tests.contract.storages import PostgresStorage

SECRET = {"server_seed_drawn"}
SPIN = {"type": "slots_spun", "game": "slots", "stake": 10, "payout": 30}
SEED = {"type": "server_seed_drawn", "server_seed": "hidden"}
UNTIL_MS = NOW_MS + 30 * HOUR_MS


def body(events: Sequence[dict[str, object]]) -> bytes:
    return b"\x94" + encode(events) + encode({}) + encode([]) + encode([])


def turn(actor: str, seq: int, events: int, at_ms: int) -> TurnRecord:
    record = records.turn(records.ActorId(f"session/{actor}"), seq, command_id=f"{seq}")
    record.recorded_ms = at_ms
    record.body = body([SEED if number % 5 == 1 else SPIN for number in range(events)])
    return record


TURNS = [
    turn(actor, 100 * hour + number, number % 4, NOW_MS + hour * HOUR_MS + number * 90_000)
    for hour in (0, 1, 5, 23, 24, 25)
    for actor in ("ann", "ben", "Ärger", "zoë")
    for number in range(1, 30)
]
EVENTS = sum(number % 4 for number in range(1, 30)) * 4 * 6


class Case:
    """A journal, a store that has the same, and what a reconciliation makes of it."""

    def __init__(self, dsn: str, clickhouse: ClickHouse) -> None:
        self.clickhouse = clickhouse
        self.store = ClickHouseStore(clickhouse, SystemClock(), StoreSettings(insert_interval_s=0))
        self.journal = JournalCounts(dsn)
        self.counts = EventCounts(clickhouse)

    async def publish(self, turns: Sequence[TurnRecord]) -> None:
        stored = [StoredTurn(t.actor, t.seq, t.command_id, 0, t.recorded_ms, 0, 1, t.body) for t in turns]
        await self.store.publish([events_of(turn, SECRET) for turn in stored])

    async def reconcile(
        self,
        repair: bool = True,
        since_ms: int = 0,
        until_ms: int = UNTIL_MS,
        publisher: EventPublisher | None = None,
    ) -> Report:
        reconciliation = Reconciliation(self.journal, self.counts, publisher or self.store, SECRET)
        return await reconciliation.run(until_ms, since_ms=since_ms, repair=repair)


@pytest.fixture
async def case(dsn: str, postgres: PostgresStorage, clickhouse: ClickHouse) -> AsyncIterator[Case]:
    incarnation = await postgres.membership.register("session-host-1", "unix:/somewhere", 60.0)
    await postgres.journal().commit(records.batch(incarnation, *TURNS))
    case = Case(dsn, clickhouse)
    await case.store.prepare()
    yield case
    await case.journal.close()


async def everything(clickhouse: ClickHouse) -> object:
    return await ask(
        clickhouse,
        "SELECT actor, seq, `index`, command_id, toUnixTimestamp64Milli(ts), data FROM events"
        " ORDER BY actor, seq, `index`",
    )


async def test_the_same_on_both_sides_is_consistent(case: Case) -> None:
    await case.publish(TURNS)
    report = await case.reconcile()
    assert report == Report(hours=6, events=EVENTS)
    assert report.is_consistent


async def test_an_empty_store_is_rebuilt(case: Case) -> None:
    progress: list[Progress] = []
    reconciliation = Reconciliation(case.journal, case.counts, case.store, SECRET)
    report = await reconciliation.run(UNTIL_MS, progress=progress.append)
    assert report == Report(hours=6, events=EVENTS, missing=EVENTS, repaired=EVENTS)
    assert [step.hours_done for step in progress] == list(range(1, 31))
    assert {step.hours_total for step in progress} == {30}
    rebuilt = await everything(case.clickhouse)
    assert (await case.reconcile()).is_consistent
    await tell(case.clickhouse, "TRUNCATE TABLE event_log")
    await case.publish(TURNS)
    assert await everything(case.clickhouse) == rebuilt
    assert "hidden" not in str(rebuilt)


async def test_what_is_missing_is_found_and_repaired(case: Case) -> None:
    whole_hour = [t for t in TURNS if t.recorded_ms // HOUR_MS == NOW_MS // HOUR_MS + 5]
    single = next(t for t in TURNS if t.actor == "session/Ärger" and t.seq == 103)
    await case.publish([t for t in TURNS if t not in whole_hour and t is not single])
    checked = await case.reconcile(repair=False)
    lost = sum(number % 4 for number in range(1, 30)) * 4 + 3
    assert (checked.missing, checked.repaired, checked.duplicates, checked.unexpected) == (lost, 0, 0, 0)
    repaired = await case.reconcile()
    assert (repaired.missing, repaired.repaired) == (lost, lost)
    assert await case.reconcile() == Report(hours=6, events=EVENTS)


async def test_one_event_of_a_turn_is_found_missing(case: Case) -> None:
    await case.publish(TURNS)
    await tell(
        case.clickhouse,
        "ALTER TABLE event_log DELETE WHERE actor = 'session/ann' AND seq = 103 AND `index` = 1"
        " SETTINGS mutations_sync = 1",
    )
    report = await case.reconcile()
    assert (report.missing, report.repaired) == (1, 1)
    assert await case.reconcile() == Report(hours=6, events=EVENTS)


async def test_duplicates_are_found_and_merged(case: Case) -> None:
    await tell(case.clickhouse, "SYSTEM STOP MERGES event_log")
    await case.publish(TURNS)
    await case.publish(TURNS[:50])
    twice = sum(number % 4 for number in range(1, 30)) + sum(number % 4 for number in range(1, 22))
    checked = await case.reconcile(repair=False)
    assert checked == Report(hours=6, events=EVENTS, duplicates=twice)
    await tell(case.clickhouse, "SYSTEM START MERGES event_log")
    await case.reconcile()
    assert await case.reconcile() == Report(hours=6, events=EVENTS)
    assert await ask(case.clickhouse, "SELECT count() FROM event_log") == [(EVENTS,)]


async def test_what_the_journal_does_not_know_is_reported_and_left(case: Case) -> None:
    await case.publish(TURNS)
    strangers = [turn("stranger", seq, 2, NOW_MS + 3 * HOUR_MS) for seq in range(1, 26)]
    more = turn("ann", 101, 3, NOW_MS + HOUR_MS + 90_000)
    await case.publish([*strangers, more])
    for _ in range(2):
        report = await case.reconcile()
        assert (report.unexpected, report.missing, report.repaired) == (50 + 2, 0, 0)
        assert len(report.unexpected_turns) == 20
        assert "session/ann 101" in report.unexpected_turns
        assert not report.is_consistent


async def test_one_too_many_does_not_hide_one_missing(case: Case) -> None:
    absent = next(t for t in TURNS if t.actor == "session/zoë" and t.seq == 101)
    await case.publish([t for t in TURNS if t is not absent])
    await case.publish([turn("stranger", 9, 1, absent.recorded_ms)])
    report = await case.reconcile()
    assert (report.missing, report.repaired, report.unexpected) == (1, 1, 1)


async def test_the_wrong_event_of_a_turn_does_not_stand_for_the_right_one(case: Case) -> None:
    await case.publish(TURNS)
    await tell(
        case.clickhouse,
        "INSERT INTO event_log (ts, user_id, actor, seq, `index`) SELECT ts, user_id, actor, seq, 9"
        " FROM event_log WHERE actor = 'session/ann' AND seq = 103 AND `index` = 1",
    )
    await tell(
        case.clickhouse,
        "ALTER TABLE event_log DELETE WHERE actor = 'session/ann' AND seq = 103 AND `index` = 1"
        " SETTINGS mutations_sync = 1",
    )
    report = await case.reconcile()
    assert (report.missing, report.repaired, report.unexpected) == (1, 1, 1)


async def test_pages_of_both_sides_are_compared_turn_by_turn(
    dsn: str, postgres: PostgresStorage, clickhouse: ClickHouse
) -> None:
    random = Random(7)
    turns = [
        turn(actor, seq, random.randint(0, 3), NOW_MS + random.randrange(9_000))
        for actor in ("b", "B", "a b", "a/b", "a_b", "ä", "Ä", "\U0001f600", "\uffff")
        for seq in random.sample(range(1, 200), 9)
    ]
    incarnation = await postgres.membership.register("session-host-1", "unix:/somewhere", 60.0)
    await postgres.journal().commit(records.batch(incarnation, *turns))
    case = Case(dsn, clickhouse)
    absent = random.sample(turns, 20)
    strangers = [turn(t.actor.removeprefix("session/"), t.seq + 1000, 1, t.recorded_ms) for t in turns[::5]]
    await case.publish([t for t in turns if t not in absent] + strangers)
    reconciliation = Reconciliation(case.journal, case.counts, case.store, SECRET, turns_per_page_max=3)
    report = await reconciliation.run(UNTIL_MS)
    lost = sum(len(msgspec.msgpack.decode(t.body)[0]) for t in absent)
    assert (report.missing, report.repaired, report.unexpected) == (lost, lost, len(strangers))
    await case.journal.close()


async def test_only_the_time_asked_for_is_compared(case: Case) -> None:
    in_between = [
        t for t in TURNS if NOW_MS + HOUR_MS + 600_000 <= t.recorded_ms < NOW_MS + 24 * HOUR_MS + 600_000
    ]
    report = await case.reconcile(
        since_ms=NOW_MS + HOUR_MS + 600_000, until_ms=NOW_MS + 24 * HOUR_MS + 600_000
    )
    events = sum(len(msgspec.msgpack.decode(t.body)[0]) for t in in_between)
    assert (report.events, report.missing, report.repaired) == (events, events, events)
    assert await ask(case.clickhouse, "SELECT count() FROM events") == [(events,)]


class Refusing:
    """Never takes one turn, and fails at first with the others."""

    def __init__(self, store: ClickHouseStore, actor: str, seq: int) -> None:
        self._store = store
        self._bad = (actor, seq)
        self._failures = 2

    async def publish(self, turns: Sequence[object]) -> None:
        for turn in turns:
            if (turn.actor, turn.seq) == self._bad:  # type: ignore[attr-defined]
                raise PublishRefused(*self._bad, "because")  # type: ignore[arg-type]
        if self._failures:
            self._failures -= 1
            raise PublishFailed("not now")
        await self._store.publish(turns)  # type: ignore[arg-type]

    async def close(self) -> None: ...


async def test_a_turn_that_is_refused_does_not_keep_the_others(case: Case) -> None:
    report = await case.reconcile(publisher=Refusing(case.store, "session/ann", 103))
    assert (report.missing, report.repaired) == (EVENTS, EVENTS - 3)
    assert report.refused_turns == ["turn 103 of session/ann: because"]


async def test_a_journal_without_turns_and_a_store_without_events_agree(
    dsn: str, clickhouse: ClickHouse
) -> None:
    case = Case(dsn, clickhouse)
    await case.store.prepare()
    assert await case.reconcile() == Report()
    await case.journal.close()


@pytest.mark.parametrize("count", [0, 1, 15, 16, 255, 256, 65_535, 65_536])
async def test_the_database_counts_the_events_of_a_body(postgres: PostgresStorage, count: int) -> None:
    assert await postgres.value("SELECT count_events($1)", body([{}] * count)) == count
