"""A commit batch as the columns that the function ``commit_turns`` takes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from runtime.identity import ActorId
from runtime.journal import CommitBatch, ReminderRecord, SnapshotRecord, TurnRecord

CONSTRAINED = ("player:", "escrow:")
"""Prefixes of the accounts that have a row in ``balances``, which can never go below zero."""


def commit_arguments(batch: CommitBatch) -> list[Any]:
    """The arguments of ``commit_turns``, in its order. Columns of no rows are NULL: an empty array
    costs both sides more than nothing, and most batches have few of them."""
    turns = batch.turns
    return [
        batch.incarnation,
        *_turns(turns),
        *_transfers(turns),
        *_snapshots(batch.snapshots),
        *_columns([send for turn in turns for send in turn.sends], 6),
        batch.acknowledged or None,
        *_columns(batch.refused, 2),
        *_reminders(turns),
    ]


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[Sequence[Any] | None]:
    return list(zip(*rows, strict=True)) if rows else [None] * width


def _turns(turns: Sequence[TurnRecord]) -> list[Sequence[Any] | None]:
    if not turns:
        return [None] * 7
    return [
        [turn.actor for turn in turns],
        [turn.seq for turn in turns],
        [turn.command_id for turn in turns],
        [turn.fingerprint for turn in turns],
        [turn.recorded_ms for turn in turns],
        [turn.push_seq for turn in turns],
        [turn.body for turn in turns],
    ]


def _transfers(turns: Sequence[TurnRecord]) -> list[Sequence[Any] | None]:
    rows: list[tuple[Any, ...]] = []
    deltas: dict[str, int] = defaultdict(int)
    for number, turn in enumerate(turns, 1):
        for index, (debit, credit, amount, reason) in enumerate(turn.transfers):
            rows.append((number, index, debit, credit, amount, reason))
            if debit.startswith(CONSTRAINED):
                deltas[debit] -= amount
            if credit.startswith(CONSTRAINED):
                deltas[credit] += amount
    # Sorted, because rows are locked in this order and two hosts can share an account.
    accounts = sorted(deltas)
    return [*_columns(rows, 6), *_columns([(account, deltas[account]) for account in accounts], 2)]


def _snapshots(snapshots: Sequence[SnapshotRecord]) -> list[Sequence[Any] | None]:
    newest: dict[ActorId, SnapshotRecord] = {}
    for snapshot in snapshots:
        if snapshot.actor not in newest or newest[snapshot.actor].seq < snapshot.seq:
            newest[snapshot.actor] = snapshot
    rows = [newest[actor] for actor in sorted(newest)]
    return _columns(
        [(row.actor, row.seq, row.push_seq, row.schema_version, row.state, row.replies) for row in rows], 6
    )


def _reminders(turns: Sequence[TurnRecord]) -> list[Sequence[Any] | None]:
    last: dict[tuple[ActorId, str], ReminderRecord | None] = {}
    for turn in turns:
        for new in turn.reminders_set:
            last[new.actor, new.name] = new
        for name in turn.reminders_cleared:
            last[turn.actor, name] = None
    standing = [reminder for key in sorted(last) if (reminder := last[key]) is not None]
    gone = [key for key in sorted(last) if last[key] is None]
    return [*_columns(standing, 6), *_columns(gone, 2)]
