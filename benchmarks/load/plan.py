"""What load is to be made: from what a person asked for to each generator's options. Pure.

Owns which wishes go together, and says what to do when they do not.
"""

from __future__ import annotations

import msgspec

from benchmarks.bots import share_out
from benchmarks.load.schedule import Stage, check_rate, constant, parse_stages, total_seconds, with_warm_up
from benchmarks.load.target import Target
from benchmarks.options import LoadOptions
from benchmarks.scenarios.scenario import Scenario

CONNECTIONS_MAX = 100_000
_SIGN_UPS_PER_S_MIN = 20


class Wishes(msgspec.Struct, frozen=True):
    """As given on the command line; None is the scenario's default. Times in seconds, rates per second."""

    rate: float | None = None
    stages: str | None = None
    closed: int | None = None
    """Connections of a closed loop."""
    connections: int | None = None
    duration_s: float | None = None
    warm_up_s: float | None = None
    processes: int = 1
    poisson: bool = False
    seed: int | None = None
    table: str = "main"


class Plan(msgspec.Struct, frozen=True):
    """``stages`` include the warm-up; they are empty when the pace is the answers' or the server's."""

    scenario: str
    connections: int
    processes: int
    measured_s: float
    warm_up_s: float
    stages: tuple[Stage, ...]
    is_closed: bool
    poisson: bool
    seed: int | None
    table: str

    @property
    def total_s(self) -> float:
        return self.warm_up_s + self.measured_s


def plan_of(scenario: Scenario, wishes: Wishes) -> Plan:
    """Raises ``ValueError`` with what to change."""
    _check(scenario, wishes)
    connections = scenario.connections
    for wish in (wishes.closed, wishes.connections):
        connections = connections if wish is None else wish
    if not 1 <= connections <= CONNECTIONS_MAX:
        raise ValueError(f"--connections must be between 1 and {CONNECTIONS_MAX:,}")
    if not 1 <= wishes.processes <= connections:
        raise ValueError(f"--processes must be between 1 and the number of connections, {connections}")
    warm_up_s = scenario.warm_up_s if wishes.warm_up_s is None else wishes.warm_up_s
    measured_s = wishes.duration_s or scenario.duration_s
    stages: tuple[Stage, ...] = ()
    if scenario.holds and scenario.rate is not None:
        rate = wishes.rate or scenario.rate
        stages = (*constant(rate, connections / rate), Stage(measured_s, 0.0, 0.0))
        measured_s, warm_up_s = total_seconds(stages), 0.0
    elif wishes.stages is not None:
        ramp = parse_stages(wishes.stages, wishes.rate or 0.0)
        measured_s, stages = total_seconds(ramp), with_warm_up(ramp, warm_up_s)
    elif wishes.closed is None and scenario.rate is not None:
        stages = with_warm_up(constant(wishes.rate or scenario.rate, measured_s), warm_up_s)
    if stages:
        check_rate(stages, wishes.processes)
    return Plan(
        scenario=scenario.name,
        connections=connections,
        processes=wishes.processes,
        measured_s=measured_s,
        warm_up_s=warm_up_s,
        stages=stages,
        is_closed=wishes.closed is not None,
        poisson=wishes.poisson,
        seed=wishes.seed,
        table=wishes.table,
    )


def options_of(plan: Plan, scenario: Scenario, target: Target) -> list[LoadOptions]:
    """One for each generator process."""
    whole = LoadOptions(
        url=target.url,
        players=plan.connections,
        scenario=plan.scenario,
        stages=plan.stages,
        poisson=plan.poisson,
        processes=plan.processes,
        warm_up_s=plan.warm_up_s,
        measured_s=plan.measured_s,
        drain_s=scenario.drain_s,
        sign_up_timeout_s=60.0 + plan.connections / _SIGN_UPS_PER_S_MIN,
        seed=plan.seed,
        table=plan.table,
        bare=target.bare,
    )
    return [
        msgspec.structs.replace(share, process=number, seed=plan.seed if plan.seed is None else share.seed)
        for number, share in enumerate(share_out(whole, plan.processes))
    ]


def _check(scenario: Scenario, wishes: Wishes) -> None:
    name = scenario.name
    if scenario.rate is None and (wishes.rate or wishes.stages or wishes.poisson):
        raise ValueError(f"{name} has a pace of its own: leave out the rate, and set --connections")
    if wishes.closed is not None and not scenario.can_be_closed:
        raise ValueError(f"{name} cannot run in a closed loop: leave out --closed, and set --connections")
    if wishes.closed is not None and (wishes.rate or wishes.stages or wishes.connections or wishes.poisson):
        raise ValueError(
            "--closed sets the connections, and their answers set the pace: leave out --rate, --stages, "
            "--connections and --poisson"
        )
    if wishes.stages is not None and (scenario.holds or wishes.duration_s is not None):
        raise ValueError(
            f"{name} opens its connections at one --rate" if scenario.holds
            else "the stages say how long they last: leave out --duration"
        )  # fmt: skip
