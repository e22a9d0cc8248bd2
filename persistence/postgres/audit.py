"""The proof that no gold was made or lost and no turn is missing, read from the database alone.

One read-only snapshot, so that it holds while games are played; set-based, so that it is a few scans
however many players there are. Changes nothing, and takes no transaction id: the event relay, which
waits for the oldest one, does not wait for an audit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import msgspec

from persistence.postgres.audit_queries import (
    COUNTS,
    DUPLICATE_COMMANDS,
    ENDED,
    ESCROWS,
    GAPS,
    GOLD,
    GOLD_MISMATCHES,
    NEGATIVE,
    ORPHANED_TRANSFERS,
    PENDING_SENDS,
    REFUSED_SENDS,
    REMINDERS,
    SNAPSHOTS_AHEAD,
)
from persistence.postgres.connections import DatabaseUnavailable

EXAMPLES_MAX = 10
_CONNECT_TIMEOUT_S = 10.0
_CRASH_ESCROW = re.compile(r"escrow:crash:([a-z0-9-]+):([0-9]+)")
"""Table and round; see ``actors.wallet``."""


class Check(msgspec.Struct):
    """``examples`` are up to ten violations, in words."""

    name: str
    meaning: str
    ok: bool
    examples: list[str] = []


class AccountClass(msgspec.Struct):
    """Accounts whose names begin alike. ``gold`` is the sum of their balances, by their transfers."""

    accounts: int
    gold: int


class AuditReport(msgspec.Struct):
    ok: bool
    checks: list[Check]
    accounts: dict[str, AccountClass]
    turns: int
    transfers: int
    sends_pending: int
    sends_refused: int
    seconds: float


def _check(name: str, meaning: str, examples: Sequence[str]) -> Check:
    return Check(name, meaning, not examples, list(examples[:EXAMPLES_MAX]))


def _lines(rows: Iterable[asyncpg.Record]) -> list[str]:
    return [", ".join(f"{key} {value}" for key, value in row.items()) for row in rows]


async def audit(dsn: str) -> AuditReport:
    """Audit the database at one moment.

    Raises:
        DatabaseUnavailable: it could not be reached, or went away.
    """
    try:
        connection = await asyncpg.connect(
            dsn, timeout=_CONNECT_TIMEOUT_S, server_settings={"application_name": "casino-audit"}
        )
        try:
            # Room for the hash tables, and all the time it takes.
            await connection.execute("SET work_mem = '256MB'; SET statement_timeout = 0")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _audit(connection)
        finally:
            connection.terminate()
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(f"cannot audit: {error}") from error


async def _audit(connection: asyncpg.Connection[asyncpg.Record]) -> AuditReport:
    began = time.monotonic()
    counts = await connection.fetchrow(COUNTS)
    assert counts is not None
    gold = await connection.fetch(GOLD)

    async def violations(query: str) -> list[str]:
        return _lines(await connection.fetch(query, EXAMPLES_MAX))

    # Balances of players and escrows as stored, of all others as their transfers make them: two
    # sources, so that the sum says something.
    total = sum(row["stored"] if row["has_floor"] else row["gold"] for row in gold)
    checks = [
        _check(
            "gold_conserved",
            "All balances together are zero: gold only moves.",
            [f"all balances together are {total}"] if total else [],
        ),
        _check(
            "balances_match_transfers",
            "Each stored balance equals its account's transfers.",
            await violations(GOLD_MISMATCHES) if any(row["mismatches"] for row in gold) else [],
        ),
        _check(
            "no_negative_balance",
            "No player and no escrow is below zero.",
            await violations(NEGATIVE) if any(row["negative"] for row in gold) else [],
        ),
        _check(
            "escrows_explained",
            "Each escrow that holds gold is named by a send or a reminder that is still to come, or belongs"
            " to a Crash round that is not over.",
            await _unexplained_escrows(connection),
        ),
        _check("journal_gap_free", "Each actor's turns are numbered 1 to n.", await violations(GAPS)),
        _check(
            "commands_unique",
            "No actor applied a command id twice.",
            await violations(DUPLICATE_COMMANDS),
        ),
        _check(
            "transfers_have_turns",
            "Each transfer belongs to a turn in the journal.",
            await violations(ORPHANED_TRANSFERS),
        ),
        _check(
            "snapshots_within_journal",
            "No snapshot is ahead of its actor's journal.",
            await violations(SNAPSHOTS_AHEAD),
        ),
        _check(
            "no_refused_sends",
            "No durable send was refused for good by its receiver.",
            await violations(REFUSED_SENDS),
        ),
    ]
    return AuditReport(
        ok=all(check.ok for check in checks),
        checks=checks,
        accounts={row["class"]: AccountClass(row["accounts"], int(row["gold"])) for row in gold},
        turns=counts["turns"],
        transfers=counts["transfers"],
        sends_pending=counts["sends_pending"],
        sends_refused=counts["sends_refused"],
        seconds=round(time.monotonic() - began, 3),
    )


async def _unexplained_escrows(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Escrows with gold that no pending send and no reminder names in its data, and that are not of a
    round under way."""
    escrows = {row["account"]: row["balance"] for row in await connection.fetch(ESCROWS)}
    if not escrows:
        return []
    named: set[str] = set()
    for query in (PENDING_SENDS, REMINDERS):
        async for row in connection.cursor(query, prefetch=1000):
            _collect_strings(msgspec.msgpack.decode(row["data"]), named)
    left = sorted(escrows.keys() - named)
    over = await _rounds_over(connection, left)
    return [
        f"account {account}, balance {escrows[account]}"
        for account in left
        if account in over or _CRASH_ESCROW.fullmatch(account) is None
    ]


async def _rounds_over(connection: asyncpg.Connection[asyncpg.Record], escrows: Sequence[str]) -> set[str]:
    """Those of the escrows whose Crash round is over: the turn that ended its pause is in the journal."""
    ends = {
        (f"crash/{found[1]}", f"\x01alarm/{found[2]}/pause"): account
        for account in escrows
        if (found := _CRASH_ESCROW.fullmatch(account))
    }
    actors, command_ids = [actor for actor, _ in ends], [command_id for _, command_id in ends]
    rows = await connection.fetch(ENDED, actors, command_ids)
    return {ends[row["actor"], row["command_id"]] for row in rows}


def _collect_strings(value: Any, strings: set[str]) -> None:
    if isinstance(value, str):
        strings.add(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _collect_strings(key, strings)
            _collect_strings(item, strings)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect_strings(item, strings)
