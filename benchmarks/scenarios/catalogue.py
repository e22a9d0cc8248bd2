"""Every scenario, in the order of the help."""

from __future__ import annotations

from benchmarks.scenarios import broadcast, crash, idle, journey, rest, resume, spin
from benchmarks.scenarios.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (
        spin,
        journey,
        crash,
        idle,
        resume,
        rest,
        broadcast,
    )
}
