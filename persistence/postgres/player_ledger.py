"""Reads a player's transfers. By the journal of their session, because all gold of a player moves in its
turns, and the ledger has no index by account: that would cost every commit.

Many turns move no gold. So a page looks at so many turns and no more, and says where the next one begins,
however few rows it found."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
import msgspec

LEDGER_PAGE = """
window_of_turns AS (
    SELECT least($2::bigint, 1 + coalesce(max(seq), 0)) AS ends
    FROM journal WHERE actor = 'session/' || $1::text
), page AS (
    SELECT j.seq, l.index, j.recorded_ms, l.debit, l.credit, l.amount, l.reason
    FROM journal j,
        -- Looked up one by one along the index, whatever the planner believes.
        LATERAL (
            SELECT * FROM ledger t
            WHERE t.position = j.position AND 'player:' || $1::text IN (t.debit, t.credit) OFFSET 0
        ) l
    WHERE j.actor = 'session/' || $1::text
        AND j.seq < (SELECT ends FROM window_of_turns)
        AND j.seq >= (SELECT ends FROM window_of_turns) - $4
    ORDER BY j.actor DESC, j.seq DESC
    FETCH FIRST $3 ROWS WITH TIES
)
SELECT ends, page.* FROM window_of_turns LEFT JOIN page ON true ORDER BY seq DESC, index
"""
"""What follows WITH. Parameters: user id, the turn that the page ends before, rows, turns to look at: some
5 µs each, if the database has them in memory, even when the rows are found among the first. An empty page is
one row with nothing but ``ends``."""

FROM_THE_NEWEST = 2**62


class PlayerTransfer(msgspec.Struct, frozen=True):
    """See ``gateway.ports.LedgerRecord``."""

    turn: int
    index: int
    at: datetime.datetime
    amount: int
    other_account: str
    reason: str


class LedgerPage(NamedTuple):
    """See ``gateway.ports.LedgerPageRecord``."""

    entries: list[PlayerTransfer]
    next_before: int | None


def page_of(rows: Sequence[asyncpg.Record], user_id: str, limit: int, turns: int) -> LedgerPage:
    """From what ``LEDGER_PAGE`` found, when it was asked for ``limit`` rows in ``turns``."""
    entries = [_transfer_of(row, user_id) for row in rows if row["seq"] is not None]
    # Either the rows ran out first, or the turns. Turns are counted from 1, without gaps.
    reached = entries[-1].turn if len(entries) >= limit else rows[0]["ends"] - turns
    return LedgerPage(entries, reached if reached > 1 else None)


def _transfer_of(row: asyncpg.Record, user_id: str) -> PlayerTransfer:
    came_in = row["credit"] == f"player:{user_id}"
    return PlayerTransfer(
        row["seq"],
        row["index"],
        datetime.datetime.fromtimestamp(row["recorded_ms"] / 1000, datetime.UTC),
        row["amount"] if came_in else -row["amount"],
        row["debit"] if came_in else row["credit"],
        row["reason"],
    )
