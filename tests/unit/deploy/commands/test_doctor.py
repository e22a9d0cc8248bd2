"""What ``casino doctor`` thinks of what it finds."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.commands.doctor import chain_finding, clock_finding, events_finding
from deploy.crash_chains import ROUNDS_LEFT_MIN, TableChains
from tests.unit.deploy.test_crash_chains import chain


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("skew_s", "round_trip_s", "ok", "doubtful"),
    [
        (0.0, 0.0, True, False),
        (1.0, 0.0, True, False),
        (1.01, 0.0, True, True),
        (5.0, 0.0, True, True),
        (5.01, 0.0, False, True),
        (3000.0, 0.1, False, True),
        # It cannot be told apart from a slow answer.
        (1.4, 1.0, True, False),
        (5.4, 1.0, True, True),
    ],
)
def test_clocks(sign: int, skew_s: float, round_trip_s: float, ok: bool, doubtful: bool) -> None:
    finding = clock_finding(sign * skew_s, round_trip_s)
    assert (finding.ok, finding.doubtful) == (ok, doubtful)


def test_which_clock_is_ahead() -> None:
    assert clock_finding(2.5, 0.01).detail == "Postgres is 2.50 s ahead"
    assert clock_finding(-2.5, 0.01).detail == "Postgres is 2.50 s behind"


@pytest.mark.parametrize(
    ("rounds", "ok", "doubtful"),
    [(ROUNDS_LEFT_MIN, True, False), (ROUNDS_LEFT_MIN - 1, True, True), (1, True, True), (0, False, True)],
)
def test_rounds_of_crash(rounds: int, ok: bool, doubtful: bool) -> None:
    finding = chain_finding(TableChains("main", [chain(1, 1, 20_000, "aa")], 20_000 - rounds))
    assert (finding.check, finding.ok, finding.doubtful) == ("crash main", ok, doubtful)
    assert finding.detail == f"{rounds:,} rounds left"
    assert finding.advice == "casino crash-chain generate --table main"


def test_a_chain_that_waits_for_its_salt_has_no_rounds() -> None:
    waiting = chain_finding(TableChains("high", [chain(1, 1, 20_000, None)], 0))
    assert (waiting.ok, waiting.advice) == (False, "casino crash-chain publish --table high")
    none = chain_finding(TableChains("high", [], 0))
    assert (none.ok, none.detail) == (False, "no hash chain")


@pytest.mark.parametrize(
    ("board", "detail", "doubtful"),
    [
        ({"event-relay": {"lag_seconds": 0.2}}, "event-relay is 0.2 s behind", False),
        (
            {"event-relay": {"lag_seconds": 0.2, "has_bus": 1}, "event-sink": {"lag_seconds": 61}},
            "event-sink is 61.0 s behind",
            True,
        ),
        ({"event-relay": {"lag_seconds": 0.2, "has_bus": 1}}, "event-sink moves nothing on", True),
        ({"event-relay": {"has_bus": 0}}, "event-relay moves nothing on", True),
        ({"event-sink": {"lag_seconds": 1}}, "event-relay moves nothing on", True),
        ({"gateway-0": {}}, "event-relay moves nothing on", True),
    ],
)
def test_events_that_do_not_get_out_are_doubtful(
    board: dict[str, dict[str, Any]], detail: str, doubtful: bool
) -> None:
    finding = events_finding(board)
    assert (finding.ok, finding.detail, finding.doubtful) == (True, detail, doubtful)
