"""``ceiling``: gateway, host and group commit as in the casino, with no game behind them.

Owns starting it. The actor's command does the least that is durable: one event, one row in the journal, as
long as a spin's; an answer as long as a spin's; no ledger, no events to the player, and nothing reads the
journal meanwhile. What the casino's rules cost is what is missing to it. The measured command is still
called ``spin_slots``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from benchmarks.baselines.baseline import Baseline
from benchmarks.baselines.child import served
from benchmarks.load.target import OWN_SETTINGS, Target, ray_metrics


@asynccontextmanager
async def started() -> AsyncIterator[Target]:
    """Raises ``TargetError``."""
    async with served(
        "ceiling",
        "benchmarks.baselines.ceiling_casino",
        environment=OWN_SETTINGS,
        settings={**OWN_SETTINGS, "CASINO_CRASH_TABLES": "[]", "CASINO_EVENTS_RELAYED": "false"},
    ) as target:
        assert target.data is not None
        yield msgspec.structs.replace(target, metrics=ray_metrics(target.data / "ray"))


BASELINE = Baseline(
    "ceiling", "the casino's own gateway, host and group commit, with an actor that only counts", started
)
