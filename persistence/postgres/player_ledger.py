"""Reads a player's transfers. By the journal of their session, because all gold of a player moves in its
turns, and the ledger has no index by account: that would cost every commit."""

from __future__ import annotations

import datetime

import asyncpg
import msgspec

LEDGER_PAGE = """
SELECT * FROM (
    SELECT j.seq, l.index, j.recorded_ms, l.debit, l.credit, l.amount, l.reason
    FROM journal j,
        -- Looked up one by one along the index, whatever the planner believes.
        LATERAL (
            SELECT * FROM ledger t
            WHERE t.position = j.position AND 'player:' || $1::text IN (t.debit, t.credit) OFFSET 0
        ) l
    WHERE j.actor = 'session/' || $1::text AND j.seq < $2
    ORDER BY j.actor DESC, j.seq DESC
    FETCH FIRST $3 ROWS WITH TIES
) AS page
ORDER BY seq DESC, index
"""
"""Parameters: user id, the turn that the page ends before, rows."""

FROM_THE_NEWEST = 2**63 - 1


class PlayerTransfer(msgspec.Struct, frozen=True):
    """See ``gateway.ports.LedgerRecord``."""

    turn: int
    index: int
    at: datetime.datetime
    amount: int
    other_account: str
    reason: str


def transfer_of(row: asyncpg.Record, user_id: str) -> PlayerTransfer:
    came_in = row["credit"] == f"player:{user_id}"
    return PlayerTransfer(
        row["seq"],
        row["index"],
        datetime.datetime.fromtimestamp(row["recorded_ms"] / 1000, datetime.UTC),
        row["amount"] if came_in else -row["amount"],
        row["debit"] if came_in else row["credit"],
        row["reason"],
    )
