"""What a relay may rely on: the order of commits, nothing skipped, and one relay that may store its place."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from persistence.postgres.journal_tail import PLANS, READ, PostgresJournalTail
from runtime.errors import JournalError
from runtime.memory_journal import MemoryJournal, MemoryJournalTail
from runtime.relay import JournalTail, Page, Place, Superseded
from tests.contract.storages import PostgresStorage, Storage
from tests.contract.turns import ANN, BEN, batch, turn

START = Place(0, 0)


@pytest.fixture
async def tail(storage: Storage, dsn: str) -> JournalTail:
    if isinstance(storage, PostgresStorage):
        return PostgresJournalTail(dsn)
    journal = storage.journal()
    assert isinstance(journal, MemoryJournal)
    return MemoryJournalTail(journal)


async def seqs(tail: JournalTail, after: Place = START, turns_max: int = 100) -> list[tuple[str, int]]:
    return [(read.actor, read.seq) for read in (await tail.read(after, turns_max)).turns]


async def test_an_empty_journal_has_an_empty_tail(tail: JournalTail) -> None:
    page = await tail.read(START, 10)
    assert page.turns == []
    assert page.end == START


async def test_turns_come_in_the_order_of_their_commits(
    storage: Storage, tail: JournalTail, incarnation: int
) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1), turn(BEN, 1), turn(ANN, 2)))
    await journal.commit(batch(incarnation, turn(ANN, 3), turn(BEN, 2)))
    expected = [(ANN, 1), (BEN, 1), (ANN, 2), (ANN, 3), (BEN, 2)]
    assert await seqs(tail) == expected


async def test_a_turn_is_read_back_whole(storage: Storage, tail: JournalTail, incarnation: int) -> None:
    record = turn(ANN, 1, push_seq=7)
    await storage.journal().commit(batch(incarnation, record))
    (read,) = (await tail.read(START, 10)).turns
    assert read.body == record.body
    assert (read.command_id, read.fingerprint) == (record.command_id, record.fingerprint)
    assert (read.recorded_ms, read.push_seq, read.incarnation) == (record.recorded_ms, 7, incarnation)


async def test_pages_follow_one_another(storage: Storage, tail: JournalTail, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, *(turn(ANN, seq) for seq in range(1, 6))))
    await journal.commit(batch(incarnation, *(turn(BEN, seq) for seq in range(1, 4))))
    read, place = [], START
    while True:
        page = await tail.read(place, 3)
        if not page.turns:
            break
        assert len(page.turns) <= 3
        read += [(stored.actor, stored.seq) for stored in page.turns]
        place = page.end
    assert read == [(ANN, seq) for seq in range(1, 6)] + [(BEN, seq) for seq in range(1, 4)]
    await journal.commit(batch(incarnation, turn(ANN, 6)))
    assert await seqs(tail, place) == [(ANN, 6)]


async def test_a_successor_goes_on_where_the_place_was_stored(
    storage: Storage, tail: JournalTail, incarnation: int
) -> None:
    await storage.journal().commit(batch(incarnation, *(turn(ANN, seq) for seq in range(1, 6))))
    first = await tail.claim()
    page = await tail.read(first.place, 2)
    await tail.advance(first.epoch, page.end)
    second = await tail.claim()
    assert second.epoch > first.epoch
    assert await seqs(tail, second.place) == [(ANN, 3), (ANN, 4), (ANN, 5)]


async def test_a_superseded_relay_cannot_turn_the_place_back(
    storage: Storage, tail: JournalTail, incarnation: int
) -> None:
    await storage.journal().commit(batch(incarnation, *(turn(ANN, seq) for seq in range(1, 6))))
    old = await tail.claim()
    early = await tail.read(old.place, 1)
    new = await tail.claim()
    late = await tail.read(new.place, 4)
    await tail.advance(new.epoch, late.end)
    with pytest.raises(Superseded):
        await tail.advance(old.epoch, early.end)
    assert await seqs(tail, (await tail.claim()).place) == [(ANN, 5)]


async def commit_held_open(dsn: str, incarnation: int, actor: str, seq: int) -> asyncpg.Connection:
    """A transaction that has written its turn, and is not committed."""
    connection: asyncpg.Connection = await asyncpg.connect(dsn)
    await connection.execute("BEGIN")
    await connection.execute(
        "INSERT INTO journal (position, actor, seq, command_id, fingerprint, incarnation, recorded_ms,"
        " push_seq, body) VALUES (nextval('journal_position'), $1, $2, $3, 0, $4, 0, 0, $5)",
        actor, seq, f"held-{seq}", incarnation, turn(ANN, 1).body,
    )  # fmt: skip
    return connection


async def test_a_commit_that_lands_late_is_not_skipped(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    tail, journal = PostgresJournalTail(dsn), postgres.journal()
    await journal.commit(batch(incarnation_in_postgres, turn(ANN, 1)))
    held = await commit_held_open(dsn, incarnation_in_postgres, BEN, 1)
    await journal.commit(batch(incarnation_in_postgres, turn(ANN, 2)))
    before = await tail.read(START, 100)
    # What was committed after the open transaction began has to wait for it.
    assert [(t.actor, t.seq) for t in before.turns] == [(ANN, 1)]
    assert (await tail.read(before.end, 100)).turns == []
    await held.execute("COMMIT")
    await held.close()
    assert await seqs(tail, before.end) == [(BEN, 1), (ANN, 2)]
    await tail.close()


async def test_a_transaction_that_is_given_up_holds_nobody_up(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    tail, journal = PostgresJournalTail(dsn), postgres.journal()
    held = await commit_held_open(dsn, incarnation_in_postgres, BEN, 1)
    await journal.commit(batch(incarnation_in_postgres, turn(ANN, 1)))
    assert await tail.read(START, 10) == Page([], START, 1_700_000_000_001)
    await held.execute("ROLLBACK")
    await held.close()
    assert await seqs(tail) == [(ANN, 1)]
    await tail.close()


async def test_the_earliest_that_waits_tells_how_far_the_relay_is(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    tail, journal = PostgresJournalTail(dsn), postgres.journal()
    assert await tail.waiting_since_ms() is None
    for seq in range(1, 4):
        await journal.commit(batch(incarnation_in_postgres, turn(ANN, seq)))
    assert await tail.waiting_since_ms() == 1_700_000_000_001
    claim = await tail.claim()
    page = await tail.read(claim.place, 2)
    await tail.advance(claim.epoch, page.end)
    assert await tail.waiting_since_ms() == 1_700_000_000_003
    await tail.advance(claim.epoch, (await tail.read(page.end, 2)).end)
    assert await tail.waiting_since_ms() is None
    await tail.close()


async def test_a_page_is_read_along_the_index_however_much_waits(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    await postgres.journal().commit(
        batch(incarnation_in_postgres, *(turn(ANN, seq) for seq in range(1, 500)))
    )
    connection = await asyncpg.connect(dsn, server_settings=PLANS)
    await connection.execute("ANALYZE journal")
    question = READ.replace("$1", "'1'").replace("$2", "1").replace("$3", "10")
    plan = [row[0].strip() for row in await connection.fetch(f"EXPLAIN {question}")]
    await connection.close()
    assert plan[0].startswith("Limit")
    assert plan[1].startswith("->  Index Scan using journal_relay"), plan


async def test_a_journal_of_another_server_is_refused(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    """Its transaction numbers mean nothing here: turns would be skipped in silence."""
    tail = PostgresJournalTail(dsn)
    await postgres.journal().commit(batch(incarnation_in_postgres, turn(ANN, 1)))
    await tail.claim()
    await postgres.value("UPDATE journal SET transaction_id = '99999999999'")
    with pytest.raises(JournalError, match="dump"):
        await tail.claim()
    await tail.close()


async def test_a_place_of_another_server_is_refused(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    """However few transactions it is ahead, and even when this one has made as many since."""
    tail = PostgresJournalTail(dsn)
    await postgres.journal().commit(batch(incarnation_in_postgres, turn(ANN, 1)))
    claim = await tail.claim()
    await postgres.value("UPDATE relay_places SET system_identifier = '1'")
    for asked in (tail.claim(), tail.resume(claim.epoch)):
        with pytest.raises(JournalError, match="restoring"):
            await asked
    await postgres.value("UPDATE relay_places SET system_identifier = NULL")
    assert (await tail.claim()).epoch == claim.epoch + 1
    await tail.close()


async def test_a_place_that_this_server_has_not_come_to_is_refused(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int
) -> None:
    tail = PostgresJournalTail(dsn)
    claim = await tail.claim()
    await tail.advance(claim.epoch, Place(10**12, 7))
    with pytest.raises(JournalError, match="restoring"):
        await tail.resume(claim.epoch)
    await tail.close()


async def test_a_relay_resumes_where_its_place_is_stored(tail: JournalTail) -> None:
    claim = await tail.claim()
    await tail.advance(claim.epoch, Place(0, 3))
    assert (await tail.resume(claim.epoch)).place == Place(0, 3)
    await tail.claim()
    with pytest.raises(Superseded):
        await tail.resume(claim.epoch)


@pytest.mark.parametrize("relayed", [0, 2, 4])
async def test_a_restored_journal_is_relayed_after_what_the_handbook_says(
    postgres: PostgresStorage, dsn: str, incarnation_in_postgres: int, relayed: int
) -> None:
    tail = PostgresJournalTail(dsn)
    for seq in range(1, 5):
        await postgres.journal().commit(batch(incarnation_in_postgres, turn(ANN, seq)))
    claim = await tail.claim()
    if relayed:
        await tail.advance(claim.epoch, (await tail.read(claim.place, relayed)).end)
    # As if loaded from a dump of a server that was much further.
    far = 10**12
    await postgres.value(
        f"UPDATE journal SET transaction_id = ({far} + transaction_id::text::bigint)::text::xid8"
    )
    await postgres.value(
        f"UPDATE relay_places SET transaction_id = ({far} + transaction_id::text::bigint)::text::xid8 "
        "WHERE position > 0"
    )
    with pytest.raises(JournalError, match="restoring"):
        await tail.claim()

    handbook = Path(__file__).parents[2].joinpath("docs/operations.md").read_text()
    (remedy,) = [block for block in handbook.split("```sql")[1:] if "UPDATE relay_places" in block]
    connection = await asyncpg.connect(dsn)
    await connection.execute(remedy.partition("```")[0])
    await connection.close()

    place = (await tail.claim()).place
    assert await seqs(tail, place) == [(ANN, seq) for seq in range(relayed + 1, 5)]
    await postgres.journal().commit(batch(incarnation_in_postgres, turn(ANN, 5)))
    assert (await seqs(tail, place))[-1] == (ANN, 5)
    await tail.close()


@pytest.fixture
async def incarnation_in_postgres(postgres: PostgresStorage) -> int:
    return await postgres.membership.register("session-host-1", "unix:/somewhere", 60.0)
