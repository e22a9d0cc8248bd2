"""One generator of a scenario, on this event loop, for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from benchmarks.load.generator import LoadResult
from benchmarks.load.plan import Wishes, options_of, plan_of
from benchmarks.load.target import Target
from benchmarks.scenarios.scenario import Scenario


async def performed(
    scenario: Scenario,
    url: str,
    wishes: Wishes,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
    **options: Any,
) -> LoadResult:
    """``options`` replace those that the plan gives."""
    plan = plan_of(scenario, wishes)
    (given,) = options_of(plan, scenario, Target(url=url, name="a casino without rules"))
    async with scenario.load(msgspec.structs.replace(given, **options)) as load:
        await load.gather()
        load.play()
        status = load.status()
        assert status.answers >= 0
        if meanwhile is not None:
            await meanwhile()
        else:
            await asyncio.sleep(plan.total_s)
        load.status()
        await load.stop()
        return load.result()
