"""The columns of a commit: what is left out, merged and sorted on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import persistence.postgres
from persistence.postgres.commit_arguments import commit_arguments
from runtime.behavior import Transfer
from runtime.identity import ActorId
from runtime.journal import CommitBatch, ReminderRecord, SnapshotRecord, TurnRecord

ANN = ActorId("session/ann")
SQL_FOLDER = Path(next(iter(persistence.postgres.__path__))) / "sql"
_SIGNATURE = (SQL_FOLDER / "0003_questions.sql").read_text().partition(") RETURNS")[0]
NAMES = [name.removeprefix("p_") for name in re.findall(r"^    (\w+) +[a-z]", _SIGNATURE, re.MULTILINE)]
"""The parameters of ``commit_turns``, as the database has them."""


def arguments(*turns: TurnRecord, **batch: Any) -> dict[str, Any]:
    values = commit_arguments(
        CommitBatch(
            incarnation=7,
            turns=list(turns),
            snapshots=batch.get("snapshots", []),
            acknowledged=[],
            refused=batch.get("refused", []),
        )
    )
    return dict(zip(NAMES, values, strict=True))


def turn(seq: int, *transfers: Transfer, **fields: Any) -> TurnRecord:
    return TurnRecord(ANN, seq, f"c{seq}", 0, 0, 0, b"", transfers, **fields)


def test_an_empty_batch_has_empty_columns() -> None:
    empty = arguments()
    assert empty.pop("incarnation") == 7
    assert all(column is None for column in empty.values())


def test_transfers_name_their_turn_and_their_place_in_it() -> None:
    found = arguments(
        turn(4, Transfer("a:1", "b:1", 1, "x"), Transfer("a:2", "b:2", 2, "y")),
        turn(5),
        turn(6, Transfer("a:3", "b:3", 3, "z")),
    )
    assert list(found["l_turns"]) == [1, 1, 3]
    assert list(found["l_indexes"]) == [0, 1, 0]
    assert list(found["l_amounts"]) == [1, 2, 3]


def test_balances_change_once_per_account_with_a_floor_in_order() -> None:
    found = arguments(
        turn(1, Transfer("faucet:f", "player:zoe", 10, "x"), Transfer("player:zoe", "escrow:e", 4, "x")),
        turn(2, Transfer("player:ann", "house:h", 3, "x"), Transfer("player:zoe", "player:ann", 6, "x")),
    )
    assert list(found["b_accounts"]) == ["escrow:e", "player:ann", "player:zoe"]
    assert list(found["b_deltas"]) == [4, 3, 0]


def test_of_several_snapshots_of_an_actor_the_newest_is_kept() -> None:
    snapshots = [SnapshotRecord(ANN, seq, 0, 1, b"%d" % seq, b"") for seq in (1, 3, 2)]
    found = arguments(snapshots=snapshots)
    assert list(found["s_seqs"]) == [3]
    assert list(found["s_states"]) == [b"3"]


def test_the_last_word_on_a_reminder_counts() -> None:
    def reminder(name: str, due_ms: int) -> ReminderRecord:
        return ReminderRecord(ANN, name, due_ms, "wake", b"", 1)

    found = arguments(
        turn(1, reminders_set=[reminder("b", 1), reminder("a", 1)]),
        turn(2, reminders_cleared=["a", "b"]),
        turn(3, reminders_set=[reminder("b", 2)]),
    )
    assert list(found["r_names"]) == ["b"]
    assert list(found["r_due_ms"]) == [2]
    assert list(found["r_cleared_names"]) == ["a"]


def test_refused_sends_carry_their_reasons() -> None:
    found = arguments(refused=[("one", "because"), ("two", "therefore")])
    assert list(found["o_refused"]) == ["one", "two"]
    assert list(found["o_refusals"]) == ["because", "therefore"]
