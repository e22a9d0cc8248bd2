from typing import Any

import pytest
from pydantic import ValidationError

from deploy.settings import CrashTable, Settings


def test_there_is_one_crash_table_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [table.name for table in Settings().crash_tables] == ["main"]
    monkeypatch.setenv("CASINO_CRASH_TABLES", '[{"name": "main"}, {"name": "high-2", "stake_min": 1000}]')
    main, high = Settings().crash_tables
    assert main == CrashTable(name="main")
    assert (high.name, high.stake_min, high.betting_s) == ("high-2", 1000, 5.0)
    monkeypatch.setenv("CASINO_CRASH_TABLES", "[]")
    assert Settings().crash_tables == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"name": name} for name in ("", "Main", "1st", "a/b", "a\n", "a" * 33, "tänk")),
        {},
        {"name": "main", "betting_s": 0.1},
        {"name": "main", "pause_s": 0.1},
        {"name": "main", "pause_s": float("nan")},
        {"name": "main", "betting_s": float("inf")},
        {"name": "main", "stake_min": 0},
        {"name": "main", "stake_min": 11, "stake_max": 10},
        {"name": "main", "stake_max": 10**13},
        {"name": "main", "liability_max": 0},
        {"name": "main", "liability_max": 9, "stake_min": 10},
        {"name": "main", "bets_max": -1},
        {"name": "main", "stake": 5},
    ],
)
def test_a_table_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CrashTable(**wrong)


def test_a_round_may_be_as_short_as_a_test_needs() -> None:
    assert CrashTable(name="a", betting_s=0.2, pause_s=0.2).betting_s == 0.2


def test_no_two_tables_have_one_name() -> None:
    with pytest.raises(ValidationError, match="same name: main, main"):
        Settings(crash_tables=[CrashTable(name="main"), CrashTable(name="main", stake_max=5)])


def test_the_key_is_not_shown() -> None:
    assert "abcdef" not in repr(Settings(crash_key="abcdef" * 6))  # type: ignore[arg-type]
