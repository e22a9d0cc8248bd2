"""The audit log: nobody changes it, and gold of administrators does not move without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from persistence.postgres.account_stores import AccountStores
from runtime.behavior import Transfer
from runtime.errors import CommitRefused, Rejected
from tests.contract.people import ADMIN, execute, fetch, sign_up, value
from tests.contract.storages import PostgresStorage
from tests.contract.turns import ANN, BEN, batch, stake, turn, welcome

CHANGES = [
    "UPDATE audit_log SET reason = 'another'",
    "UPDATE audit_log SET reason = 'another' WHERE id < 0",
    "DELETE FROM audit_log",
    "DELETE FROM audit_log WHERE id < 0",
    "TRUNCATE audit_log",
    "TRUNCATE audit_log, accounts CASCADE",
    "WITH gone AS (DELETE FROM audit_log RETURNING *) SELECT * FROM gone",
    "INSERT INTO audit_log (admin, action, command_id) VALUES ('u_admin', 'x', '1')"
    " ON CONFLICT (admin, command_id) DO UPDATE SET reason = 'another'",
    "MERGE INTO audit_log USING (VALUES (1)) AS v (i) ON true WHEN MATCHED THEN DELETE",
]


@pytest.fixture
async def application_role(dsn: str) -> AsyncIterator[str]:
    """An ordinary role that may do everything with tables, as an application's has it."""
    await execute(
        dsn,
        "CREATE ROLE application NOSUPERUSER;"
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO application;"
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO application",
    )
    yield "application"
    await execute(dsn, "DROP OWNED BY application; DROP ROLE application")


@pytest.mark.parametrize("change", CHANGES)
async def test_neither_the_application_nor_the_owner_can_change_what_was_written(
    stores: AccountStores, dsn: str, application_role: str, change: str
) -> None:
    await stores.administration.create_admin("u_admin", "ann", "hash", "u_admin", "1")
    before = await fetch(dsn, "SELECT * FROM audit_log")
    assert before
    as_role = f"SET ROLE {application_role}; "
    in_replication_mode = "SET session_replication_role = replica; "
    owned = f"ALTER TABLE audit_log OWNER TO {application_role}; "
    for how in ("", as_role, in_replication_mode, owned + as_role):
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await execute(dsn, how + change)
    assert await fetch(dsn, "SELECT * FROM audit_log") == before


async def test_the_applications_role_writes_and_reads_it(
    dsn: str, stores: AccountStores, application_role: str
) -> None:
    await execute(
        dsn, f"SET ROLE {application_role}; INSERT INTO audit_log (admin, action) VALUES ('a', 'b')"
    )
    [row] = await stores.audit_log.read(ADMIN, None, 10)
    assert (row.admin, row.action, row.target, row.details, row.reason) == ("a", "b", "", {}, "")


async def test_the_newest_come_first_and_reading_is_written_down(stores: AccountStores) -> None:
    details = {"count": 3, "of": ["a", None], "ü": "'; --"}
    for number in range(5):
        await stores.audit_log.append(ADMIN, "read_actions", f"u_{number}", details, "asked for")
    first = await stores.audit_log.read(ADMIN, None, 2)
    assert [row.target for row in first] == ["u_4", "u_3"]
    assert first[0].details == details
    assert first[0].reason == "asked for"
    rest = await stores.audit_log.read(ADMIN, first[-1].id, 10)
    assert [row.target for row in rest] == ["u_2", "u_1", "u_0"]
    newest = await stores.audit_log.read(ADMIN, None, 2)
    assert [(row.admin, row.action) for row in newest] == [(ADMIN, "read_audit")] * 2


@pytest.mark.parametrize("details", [{"name": "a\x00b"}, {"name": "\ud800"}])
async def test_what_cannot_be_stored_is_refused(stores: AccountStores, details: dict[str, str]) -> None:
    with pytest.raises(Rejected) as caught:
        await stores.audit_log.append(ADMIN, "x", "", details, "")
    assert caught.value.code == "invalid_data"


# Gold ---------------------------------------------------------------------------------------


def given(key: str, amount: int, reason: str = "by u_admin: a lost prize: sorry\nfor it") -> Transfer:
    return Transfer("faucet:admin", f"player:{key}", amount, reason)


def taken(key: str, amount: int) -> Transfer:
    return Transfer(f"player:{key}", "faucet:admin", amount, "by u_admin: won by a defect")


@pytest.fixture
async def incarnation(postgres: PostgresStorage) -> int:
    return await postgres.membership.register("host", "unix:x", 60.0)


async def test_gold_of_administrators_leaves_its_row_in_the_transaction_of_the_turn(
    postgres: PostgresStorage, incarnation: int, dsn: str
) -> None:
    journal = postgres.journal()
    await journal.commit(
        batch(
            incarnation,
            turn(ANN, 1, welcome("ann"), given("ann", 500)),
            turn(BEN, 1, welcome("ben"), stake("ben", 10)),
            turn(ANN, 2, stake("ann", 5), taken("ann", 200)),
        )
    )
    rows = await fetch(
        dsn,
        "SELECT a.admin, a.action, a.target, (a.details ->> 'amount')::int, a.reason, a.xmin = l.xmin,"
        " l.amount"
        " FROM audit_log a LEFT JOIN ledger l ON l.position = (a.details ->> 'position')::bigint"
        " AND 'faucet:admin' IN (l.debit, l.credit) ORDER BY a.id",
    )
    assert rows == [
        ("u_admin", "adjust_gold", "ann", 500, "a lost prize: sorry\nfor it", True, 500),
        ("u_admin", "adjust_gold", "ann", -200, "won by a defect", True, 200),
    ]
    assert await value(dsn, "SELECT count(*) FROM ledger") == 6


async def test_a_turn_that_is_refused_leaves_no_row(
    postgres: PostgresStorage, incarnation: int, dsn: str
) -> None:
    journal = postgres.journal()
    with pytest.raises(CommitRefused):
        await journal.commit(batch(incarnation, turn(ANN, 1, given("ann", 10), taken("ann", 11))))
    await postgres.membership.fence(incarnation)
    with pytest.raises(Exception, match="fenced"):
        await journal.commit(batch(incarnation, turn(ANN, 1, given("ann", 10))))
    for table in ("audit_log", "ledger", "journal"):
        assert await value(dsn, f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize(
    "reason", ["", "a gift", "by u_admin", "by u_admin: ", "by : x", "By u_admin: x", "x by a: b"]
)
async def test_gold_by_nobody_or_for_no_reason_does_not_move(
    postgres: PostgresStorage, incarnation: int, dsn: str, reason: str
) -> None:
    with pytest.raises(CommitRefused, match="by somebody and for a reason"):
        await postgres.journal().commit(batch(incarnation, turn(ANN, 1, given("ann", 10, reason))))
    assert await value(dsn, "SELECT count(*) FROM ledger") == 0


async def test_replication_mode_does_not_hide_gold(dsn: str) -> None:
    insert = "INSERT INTO ledger VALUES (1, 0, 'faucet:admin', 'player:ann', 5, 'by u_admin: x')"
    await execute(dsn, f"SET session_replication_role = replica; {insert}")
    assert await fetch(dsn, "SELECT admin, target FROM audit_log") == [("u_admin", "ann")]


# Reading players ----------------------------------------------------------------------------


async def audited(dsn: str) -> list[tuple[object, ...]]:
    return await fetch(
        dsn,
        "SELECT admin, action, target, details FROM audit_log WHERE action <> 'create_invite' ORDER BY id",
    )


async def test_whoever_reads_about_a_player_leaves_a_row(stores: AccountStores, dsn: str) -> None:
    await sign_up(stores, "u_1", "Ann")
    [found] = await stores.players.find(ADMIN, username="ANN", user_id=None)
    assert found == await stores.players.account(ADMIN, "u_1")
    assert await stores.players.find(ADMIN, username=None, user_id="u_1") == [found]
    assert await stores.players.find(ADMIN, username="ann", user_id="u_1") == [found]
    assert await stores.players.find(ADMIN, username="ann", user_id="u_2") == []
    assert await stores.players.find(ADMIN, username="ben", user_id=None) == []
    assert await stores.players.account(ADMIN, "u_2") is None
    assert await stores.players.ledger(ADMIN, "u_1", None, 10) == ([], None)
    with pytest.raises(ValueError, match="needed"):
        await stores.players.find(ADMIN, username=None, user_id=None)
    assert await audited(dsn) == [
        (ADMIN, action, target, "{}")
        for action, target in [
            ("find_players", "u_1"),
            ("read_player", "u_1"),
            ("find_players", "u_1"),
            ("find_players", "u_1"),
            ("find_players", ""),
            ("find_players", ""),
            ("read_player", "u_2"),
            ("read_ledger", "u_1"),
        ]
    ]


async def test_readers_meet_writers(
    postgres: PostgresStorage, incarnation: int, stores: AccountStores, dsn: str
) -> None:
    """Gold is given while the log is read: no deadlock, and none is missing in the end."""
    journals = [postgres.journal() for _ in range(4)]

    async def give(number: int) -> None:
        key = f"player-{number}"
        for seq in range(1, 11):
            one = turn(type(ANN)(f"session/{key}"), seq, given(key, seq))
            await journals[number].commit(batch(incarnation, one))

    await asyncio.gather(
        *(give(number) for number in range(4)), *(stores.audit_log.read(ADMIN, None, 5) for _ in range(20))
    )
    assert await value(dsn, "SELECT count(*) FROM audit_log WHERE action = 'adjust_gold'") == 40
