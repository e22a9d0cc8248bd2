"""The audit finds nothing wrong in what the journal wrote, and every kind of tampering."""

from __future__ import annotations

import asyncio

import asyncpg
import msgspec
import pytest

from persistence.postgres.audit import audit
from persistence.postgres.connections import DatabaseUnavailable
from runtime.behavior import Transfer
from runtime.identity import ActorId
from runtime.journal import OutboxRecord
from tests.contract.storages import PostgresStorage
from tests.contract.turns import ANN, BEN, batch, reminder, snapshot, stake, turn, welcome

GIFT = "escrow:gift:ann:1"


@pytest.fixture
async def played(postgres: PostgresStorage) -> PostgresStorage:
    """A little history, with a gift on its way."""
    incarnation = await postgres.membership.register("host", "unix:x", 60.0)
    gift = OutboxRecord("gift-1", ANN, BEN, "receive_gift", msgspec.msgpack.encode({"escrow": GIFT}))
    await postgres.journal().commit(
        batch(
            incarnation,
            turn(ANN, 1, welcome("ann")),
            turn(ANN, 2, stake("ann", 30), Transfer("house:slots", "player:ann", 10, "win")),
            turn(BEN, 1, welcome("ben")),
            turn(ANN, 3, Transfer("player:ann", GIFT, 100, "gift"), sends=[gift]),
            snapshots=[snapshot(ANN, 2)],
        )
    )
    return postgres


async def broken(storage: PostgresStorage) -> dict[str, list[str]]:
    report = await audit(storage.dsn)
    violated = {check.name: check.examples for check in report.checks if not check.ok}
    assert report.ok == (not violated)
    return violated


async def test_a_fresh_database_is_clean(postgres: PostgresStorage) -> None:
    report = await audit(postgres.dsn)
    assert report.ok
    assert (report.turns, report.transfers, report.accounts) == (0, 0, {})


async def test_a_played_one_is_clean_and_counted(played: PostgresStorage) -> None:
    report = await audit(played.dsn)
    assert report.ok, [check for check in report.checks if not check.ok]
    assert (report.turns, report.transfers, report.sends_pending) == (4, 5, 1)
    assert {name: (entry.accounts, entry.gold) for name, entry in report.accounts.items()} == {
        "player": (2, 1880),
        "escrow": (1, 100),
        "faucet": (1, -2000),
        "house": (1, 20),
    }
    assert msgspec.json.decode(msgspec.json.encode(report))["ok"] is True


@pytest.mark.parametrize(
    ("tampering", "violated", "example"),
    [
        (
            "UPDATE balances SET balance = balance + 1 WHERE account = 'player:ann'",
            {"gold_conserved", "balances_match_transfers"},
            "player:ann",
        ),
        (
            "DELETE FROM balances WHERE account = 'player:ben'",
            {"gold_conserved", "balances_match_transfers"},
            "player:ben",
        ),
        (
            "INSERT INTO balances VALUES ('house:slots', 20)",
            {"balances_match_transfers"},
            "house:slots",
        ),
        (
            "INSERT INTO ledger"
            " SELECT position, 9, 'player:ben', 'house:x', 5000, 'theft' FROM journal LIMIT 1",
            {"gold_conserved", "balances_match_transfers", "no_negative_balance"},
            "player:ben",
        ),
        ("DELETE FROM outbox", {"escrows_explained"}, GIFT),
        (
            "UPDATE outbox SET refusal = 'rejected: no such player'",
            {"escrows_explained", "no_refused_sends"},
            "gift-1",
        ),
        (
            "DELETE FROM journal WHERE actor = 'session/ann' AND seq = 2",
            {"journal_gap_free", "transfers_have_turns"},
            "session/ann",
        ),
        (
            "ALTER TABLE journal DROP CONSTRAINT journal_actor_command_id;"
            " UPDATE journal SET command_id = 'command-1' WHERE actor = 'session/ann' AND seq = 2",
            {"commands_unique"},
            "command-1",
        ),
        ("UPDATE snapshots SET seq = 99", {"snapshots_within_journal"}, "99"),
    ],
)
async def test_tampering_is_found(
    played: PostgresStorage, tampering: str, violated: set[str], example: str
) -> None:
    connection = await asyncpg.connect(played.dsn)
    await connection.execute(tampering)
    await connection.close()
    found = await broken(played)
    assert set(found) == violated
    assert any(example in line for lines in found.values() for line in lines)


async def test_a_reminder_explains_an_escrow_too(played: PostgresStorage) -> None:
    data = msgspec.msgpack.encode({"round": [1, {"escrow": GIFT}]})
    incarnation = await played.membership.register("host", "unix:x", 60.0)
    await played.journal().commit(
        batch(
            incarnation,
            turn(BEN, 2, reminders_set=[reminder(BEN, "settle", 1, data)]),
            acknowledged=["gift-1"],
        )
    )
    assert await broken(played) == {}


async def test_examples_are_few_however_much_is_wrong(played: PostgresStorage) -> None:
    await played.value("SELECT setval('journal_position', 1000)")
    connection = await asyncpg.connect(played.dsn)
    await connection.execute("INSERT INTO balances SELECT 'player:' || n, 1 FROM generate_series(1, 100) n")
    await connection.close()
    assert len((await broken(played))["balances_match_transfers"]) == 10


async def test_it_holds_while_hosts_race_for_the_same_escrows(postgres: PostgresStorage) -> None:
    """Escrows come to be, are emptied, vanish and come back, under four hosts at once."""
    rounds = [f"escrow:crash:{number}" for number in range(3)]
    reports = []

    async def host(number: int) -> None:
        incarnation = await postgres.membership.register(f"host-{number}", "unix:x", 60.0)
        journal = postgres.journal()
        actor, player = ActorId(f"session/{number}"), f"player:{number}"
        explain = reminder(actor, "rounds", 1, msgspec.msgpack.encode(rounds))
        await journal.commit(
            batch(incarnation, turn(actor, 1, welcome(str(number)), reminders_set=[explain]))
        )
        for seq in range(2, 42):
            escrow = rounds[(seq // 2) % 3]
            into = seq % 2 == 0
            debit, credit = (player, escrow) if into else (escrow, player)
            await journal.commit(batch(incarnation, turn(actor, seq, Transfer(debit, credit, 5, "bet"))))

    async def watch() -> None:
        while True:
            reports.append(await audit(postgres.dsn))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*map(host, range(4)))
    await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.wait({watching})
    assert len(reports) > 2
    assert all(report.ok for report in reports)
    assert await postgres.value("SELECT count(*) FROM balances WHERE account LIKE 'escrow:%'") == 0
    assert [await postgres.balance(f"player:{number}") for number in range(4)] == [1000] * 4


async def test_an_unreachable_database_is_said_to_be_so() -> None:
    with pytest.raises(DatabaseUnavailable):
        await audit("postgresql://nobody@/nowhere?host=/nonexistent")


async def test_the_escrow_of_a_crash_round_is_empty_once_its_pause_is_over(postgres: PostgresStorage) -> None:
    table, escrow = ActorId("crash/main"), "escrow:crash:main:7"
    incarnation = await postgres.membership.register("host", "unix:x", 60.0)
    journal = postgres.journal()
    await journal.commit(
        batch(
            incarnation,
            turn(ANN, 1, welcome("ann")),
            turn(ANN, 2, Transfer("player:ann", escrow, 100, "bet")),
            turn(table, 1, command_id="\x01alarm/6/pause"),
            turn(table, 2, command_id="\x01alarm/7/running"),
        )
    )
    assert not await broken(postgres)
    await journal.commit(batch(incarnation, turn(table, 3, command_id="\x01alarm/7/pause")))
    assert await broken(postgres) == {"escrows_explained": [f"account {escrow}, balance 100"]}
    settling = OutboxRecord("s-1", table, ANN, "settle", msgspec.msgpack.encode({"escrow": escrow}))
    await journal.commit(batch(incarnation, turn(table, 4, sends=[settling])))
    assert not await broken(postgres)
