"""A player's transfers, read by the journal: page by page, and no page looks at more turns than it may."""

from __future__ import annotations

import pytest

from persistence.postgres import personal_data, players
from persistence.postgres.account_stores import AccountStores
from persistence.postgres.player_ledger import LedgerPage
from runtime.behavior import Transfer
from runtime.command_ids import GENESIS_ID
from tests.contract.people import ADMIN, execute, fetch
from tests.contract.storages import PostgresStorage
from tests.contract.turns import ANN, BEN, batch, stake, turn, welcome


@pytest.fixture
async def incarnation(postgres: PostgresStorage) -> int:
    return await postgres.membership.register("host", "unix:x", 60.0)


async def idle_turns(dsn: str, actor: str, first: int, last: int) -> None:
    """Turns that move no gold."""
    await execute(
        dsn,
        "INSERT INTO journal (position, actor, seq, command_id, fingerprint, incarnation, recorded_ms,"
        " push_seq, body) SELECT nextval('journal_position'), "
        f"'{actor}', n, 'idle-' || n, 0, 1, n, 0, '' FROM generate_series({first}, {last}) n;"
        "ANALYZE journal",
    )


async def test_it_is_read_turn_by_turn_from_the_newest(
    postgres: PostgresStorage, incarnation: int, stores: AccountStores, dsn: str
) -> None:
    await postgres.journal().commit(
        batch(
            incarnation,
            turn(ANN, 1, welcome("ann")),
            turn(BEN, 1, welcome("ben")),
            turn(
                ANN, 2, stake("ann", 10), Transfer("house:slots", "player:ann", 30, "prize"), stake("ann", 1)
            ),
            turn(ANN, 3),
            turn(BEN, 2, stake("ben", 10)),
            turn(ANN, 4, stake("ann", 7), Transfer("house:slots", "house:overflow", 3, "not hers")),
        )
    )
    page = await stores.players.ledger(ADMIN, "ann", None, 2)
    assert [(row.turn, row.index, row.amount, row.other_account) for row in page.entries] == [
        (4, 0, -7, "house:slots"),
        (2, 0, -10, "house:slots"),
        (2, 1, 30, "house:slots"),
        (2, 2, -1, "house:slots"),
    ]
    assert page.entries[2].reason == "prize"
    assert page.entries[2].at.timestamp() == pytest.approx(1_700_000_000.002)
    assert page.next_before == 2
    rest = await stores.personal_data.ledger("ann", page.next_before, 2)
    assert [(row.turn, row.amount, row.other_account) for row in rest.entries] == [
        (1, 1000, "faucet:welcome")
    ]
    assert rest.next_before is None
    assert await stores.personal_data.ledger("ann", 2, 1) == rest, "a full page that reaches the first turn"
    for nothing in (0, 1):
        assert await stores.personal_data.ledger("ann", nothing, 2) == LedgerPage([], None)
    assert (await fetch(dsn, "SELECT admin, action, target FROM audit_log")) == [
        (ADMIN, "read_ledger", "ann")
    ]


@pytest.mark.parametrize(
    ("who", "turns_max"),
    [("administrator", players.LEDGER_TURNS_MAX), ("player", personal_data.LEDGER_TURNS_MAX)],
)
async def test_a_page_looks_at_so_many_turns_however_little_it_finds(
    postgres: PostgresStorage, incarnation: int, stores: AccountStores, dsn: str, who: str, turns_max: int
) -> None:
    last = 2 * turns_max + 10
    await postgres.journal().commit(batch(incarnation, turn(ANN, 1, welcome("ann")), turn(ANN, 2)))
    await idle_turns(dsn, ANN, 3, last)

    async def page(before: int | None) -> LedgerPage:
        if who == "player":
            return await stores.personal_data.ledger("ann", before, 10)
        return await stores.players.ledger(ADMIN, "ann", before, 10)

    first = await page(None)
    assert first == LedgerPage([], last + 1 - turns_max)
    second = await page(first.next_before)
    assert second == LedgerPage([], last + 1 - 2 * turns_max)
    third = await page(second.next_before)
    assert [entry.turn for entry in third.entries] == [1]
    assert third.next_before is None
    assert await page(last + 10**6) == first, "beyond the end is the end"
    assert await page(turns_max + 1) == third, "the first turn is the window's last"
    assert await page(turns_max + 2) == LedgerPage([], 2)


async def test_a_session_is_one_that_was_opened(
    postgres: PostgresStorage, incarnation: int, stores: AccountStores
) -> None:
    """A gift to somebody who never came makes a journal and no session."""
    genesis = turn(BEN, 1, welcome("ben"), command_id=GENESIS_ID)
    await postgres.journal().commit(batch(incarnation, turn(ANN, 1), genesis))
    assert [await stores.players.has_session(key) for key in ("ann", "ben", "cid")] == [False, True, False]
