"""How hard fault tests play, and what must hold after each of them."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from benchmarks.reconcile_log import check_log
from tests.system.arena import Arena, BotRun

FAULT_SECONDS = float(os.environ.get("CASINO_FAULT_SECONDS", "7"))
"""How long each fault test plays; set it to 60 or more for a longer look."""
PLAYERS = int(os.environ.get("CASINO_FAULT_PLAYERS", "100"))
DEDICATED = os.environ.get("CASINO_SESSION_PLACEMENT") == "dedicated"
"""Export it to run the tests with a process for each session; with few players, then."""
SESSION_HOST = "DedicatedHost" if DEDICATED else "SessionHost"
"""The class of the processes that hold sessions."""


async def checked(arena: Arena, run: BotRun) -> dict[str, Any]:
    """The bots' report, after comparing their log with the journal and auditing the ledger."""
    check = check_log(run.log, await arena.turns())
    print(check.summary())
    print(
        {
            k: run.report[k]
            for k in (
                "acknowledged",
                "reconnects",
                "resent",
                "recovery_s",
                "bot_stall_p50_s",
                "bot_stall_max_s",
            )
        }
    )
    assert check.ok, (check.summary(), check.examples)
    assert run.status == 0, (run.report, run.said)
    assert run.report["event_gaps"] == 0
    arena.audit()
    return run.report


async def until(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.3)
