"""The checker finds every planted fault, and only those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.command_log import CommandLog
from benchmarks.reconcile_log import LogCheck, check_log

Turn = tuple[str, str, dict[str, Any]]


def spun(nonce: int, gold: int, seed: str = "s0") -> dict[str, Any]:
    return {"stake": 2, "payout": 1, "gold_balance": gold, "nonce": nonce, "server_seed_hash": seed}


def story() -> list[Turn]:
    """A clean run: two players, a rotation, a gift."""
    return [
        ("ann", "genesis", {"gold_balance": 100}),
        ("ann", "R-1", {"streak_count": 1, "gold_balance": 200}),
        ("ann", "R-2", spun(0, 199)),
        ("bob", "genesis", {"gold_balance": 100}),
        ("bob", "R-9", spun(0, 99)),
        ("ann", "R-3", spun(1, 198)),
        ("ann", "R-4", {"plays": 2, "revealed_server_seed_hash": "s0", "server_seed_hash": "s1", "nonce": 0}),
        ("ann", "R-5", spun(0, 197, "s1")),
        ("ann", "gift-from-bob", {"gold_balance": 207}),
        ("ann", "R-6", spun(1, 206, "s1")),
    ]


FINAL = {"ann": 206, "bob": 99}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "bots.jsonl"
    with CommandLog(path, "R-") as written:
        for user_id, command_id, reply in story():
            if command_id.startswith("R-"):
                raw = msgspec.Raw(msgspec.msgpack.encode(reply))
                written.acknowledged(user_id, command_id, "spin_slots", 1, raw)
        written.acknowledged(
            "bob", "R-10", "get_profile", 1, msgspec.Raw(msgspec.msgpack.encode({"level": 1}))
        )
        written.left("ann", [], 206, 12)
        written.left("bob", ["R-11"], 99, 4)
    return path


def test_a_clean_run(log: Path) -> None:
    check = check_log(log, story(), final_gold=FINAL)
    assert check.ok, check.summary() + str(check.examples)
    assert (check.acknowledged, check.matched, check.journal_turns) == (7, 7, 10)


def test_an_unanswered_command_may_be_applied_or_not(log: Path) -> None:
    truth = [*story(), ("bob", "R-11", spun(1, 98))]
    check = check_log(log, truth, final_gold={**FINAL, "bob": 98})
    assert check.ok
    assert check.applied_unacknowledged == 1


def test_other_players_are_none_of_its_business(log: Path) -> None:
    assert check_log(log, [*story(), ("eve", "R-2", spun(7, 1)), ("eve", "R-2", spun(7, 1))]).ok


def test_a_gift_may_arrive_when_the_bot_has_left(log: Path) -> None:
    late = [*story(), ("ann", "gift-again", {"gold_balance": 216})]
    assert check_log(log, late, final_gold={**FINAL, "ann": 216}).ok


def lost(turns: list[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn[1] != "R-6"]


def twice(turns: list[Turn]) -> list[Turn]:
    return [*turns, turns[-1]]


def applied_again_under_its_id(turns: list[Turn]) -> list[Turn]:
    return [*turns, ("ann", "R-6", spun(2, 205, "s1"))]


def another_reply(turns: list[Turn]) -> list[Turn]:
    return [(u, c, {**r, "payout": 5} if c == "R-6" else r) for u, c, r in turns]


def unknown_command(turns: list[Turn]) -> list[Turn]:
    return [*turns, ("ann", "R-77", {"x": 1})]


def skipped_nonce(turns: list[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn[1] != "R-3"]


def first_play_missing(turns: list[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn[1] != "R-2"]


def gold_from_nowhere(turns: list[Turn]) -> list[Turn]:
    return [(u, c, {"gold_balance": 300} if c == "gift-from-bob" else r) for u, c, r in turns]


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (lost, "acknowledged but lost"),
        (twice, "applied twice"),
        (applied_again_under_its_id, "applied twice"),
        (another_reply, "another reply in the journal"),
        (unknown_command, "in the journal, unknown to the bot"),
        (skipped_nonce, "nonce not consecutive"),
        (first_play_missing, "nonce not consecutive"),
        (gold_from_nowhere, "gold does not follow"),
    ],
)
def test_planted_faults_are_found(log: Path, plant: Callable[[list[Turn]], list[Turn]], kind: str) -> None:
    check = check_log(log, plant(story()))
    assert not check.ok
    assert kind in check.problems, check.summary()
    assert any(example.startswith(kind) for example in check.examples)


def test_a_ledger_that_disagrees(log: Path) -> None:
    assert check_log(log, story(), final_gold={"ann": 1, "bob": 99}).problems == {"final gold": 1}
    assert check_log(log, story(), final_gold={"bob": 99}).problems == {"final gold": 1}


def test_a_balance_the_bot_was_never_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with CommandLog(path, "R-") as written:
        written.acknowledged("ann", "R-1", "spin_slots", 1, msgspec.Raw(msgspec.msgpack.encode(spun(0, 50))))
        written.left("ann", [], 49, 2)
    assert check_log(path, [("ann", "R-1", spun(0, 50))]).problems == {"final gold": 1}


def test_two_acknowledgements_of_one_command(tmp_path: Path) -> None:
    path = tmp_path / "log"
    raw = msgspec.Raw(msgspec.msgpack.encode(spun(0, 50)))
    with CommandLog(path, "R-") as written:
        written.acknowledged("ann", "R-1", "spin_slots", 1, raw)
        written.acknowledged("ann", "R-1", "spin_slots", 2, raw)
    assert check_log(path, [("ann", "R-1", spun(0, 50))]).problems == {"acknowledged twice": 1}


def test_an_empty_log_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    CommandLog(path, "R-").close()
    check = check_log(path, [])
    assert not check.ok
    assert "no acknowledged command" in check.summary()


def test_examples_are_bounded() -> None:
    check = LogCheck()
    for number in range(1000):
        check.note("kind", str(number))
    assert check.problems == {"kind": 1000}
    assert len(check.examples) == 20


ANSWER = "\x01answer/1"
BET = {"table": "main", "round": 3, "stake": 5, "auto_cash_out": None, "gold_balance": 95}
CASH_OUT = {"table": "main", "round": 3, "stake": 5, "multiplier": 1.5, "payout": 7, "gold_balance": 102}


def deferred_story(tmp_path: Path, told: dict[str, Any]) -> Path:
    path = tmp_path / "log"
    with CommandLog(path, "R-") as written:
        for command_id, name, reply in (("R-1", "place_crash_bet", BET), ("R-2", "cash_out_crash", told)):
            written.acknowledged("ann", command_id, name, 1, msgspec.Raw(msgspec.msgpack.encode(reply)))
        written.acknowledged("ann", "R-3", "get_crash_bets", 1, msgspec.Raw(msgspec.msgpack.encode({})))
        written.left("ann", ["R-4"], 102, 9)
    return path


DEFERRED: list[tuple[str, str, Any]] = [
    ("ann", "genesis", {"gold_balance": 100}),
    ("ann", "R-1", ANSWER),
    ("ann", ANSWER, BET),
    ("ann", "R-2", ANSWER + "2"),
    ("ann", "R-9", ANSWER + "3"),
    ("ann", ANSWER + "2", CASH_OUT),
    ("ann", ANSWER + "3", ["no_open_bet", "There is none."]),
    ("ann", "R-4", ANSWER + "4"),
]


def test_a_deferred_answer_is_the_commands_own(tmp_path: Path) -> None:
    check = check_log(deferred_story(tmp_path, CASH_OUT), DEFERRED, final_gold={"ann": 102})
    assert check.ok, check.summary() + str(check.examples)
    assert (check.acknowledged, check.matched) == (2, 2)


def test_another_deferred_answer_is_found(tmp_path: Path) -> None:
    check = check_log(deferred_story(tmp_path, {**CASH_OUT, "payout": 8}), DEFERRED)
    assert check.problems == {"another reply in the journal": 1}


def test_a_deferred_command_without_its_answer_is_lost(tmp_path: Path) -> None:
    check = check_log(deferred_story(tmp_path, CASH_OUT), DEFERRED[:5])
    assert "acknowledged but lost" in check.problems
