"""What ``casino doctor`` asks a real database."""

from __future__ import annotations

import secrets

import pytest

from deploy.commands import doctor
from deploy.commands.doctor import _clock, _crash
from deploy.crash_chains import ROUNDS_LEFT_MIN, generate_chain
from deploy.instance import RunState
from deploy.settings import CrashTable, Settings
from persistence.postgres.crash_chains import KEY_BYTES, CrashChains


def state(dsn: str) -> RunState:
    return RunState(1, "", dsn, "", "", "")


async def test_its_clock_is_this_machines(dsn: str) -> None:
    finding = await _clock(state(dsn))
    assert (finding.check, finding.ok, finding.doubtful) == ("clock", True, False)


async def test_every_table_that_is_configured_is_looked_at(dsn: str) -> None:
    settings = Settings(crash_tables=[CrashTable(name=name) for name in ("main", "high", "low")])
    store = CrashChains(dsn)
    try:
        for table, rounds in (("main", ROUNDS_LEFT_MIN), ("low", 1000)):
            await generate_chain(store, table, secrets.token_bytes(KEY_BYTES), rounds, own_salt=True)
    finally:
        await store.close()
    findings = await _crash(settings, state(dsn))
    assert [(each.check, each.ok, each.doubtful) for each in findings] == [
        ("crash main", True, False),
        ("crash high", False, True),
        ("crash low", True, True),
    ]
    assert await _crash(Settings(crash_tables=[]), state(dsn)) == []


async def test_a_database_that_is_away_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_TIMEOUT_S", 0.2)
    away = state("postgresql://nobody@127.0.0.1:1/nothing")
    assert not (await _clock(away)).ok
    [crash] = await _crash(Settings(), away)
    assert not crash.ok
