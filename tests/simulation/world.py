"""One run: a cluster and its clients in a seeded world, from its first instant to its audit.

Puts the parts together and says when they begin and end. Decides nothing itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from actors.catalogue import behaviors as catalogue
from runtime.behavior import Behavior
from runtime.errors import RuntimeFault
from runtime.identity import ActorId, Dedicated, Packed
from runtime.journal import Desired
from tests.simulation.audit import audit, unrest
from tests.simulation.checks import Checks
from tests.simulation.clients import Caller, Client, Device
from tests.simulation.database import Database, outcome
from tests.simulation.faults import Faults
from tests.simulation.fleet import Fleet
from tests.simulation.history import History
from tests.simulation.loop import Simulator
from tests.simulation.network import Network
from tests.simulation.processes import Process, session_actor
from tests.simulation.scenario import Scenario, Step
from tests.simulation.vault import Vault, VaultBefore

REST_S = 120.0
"""Within this time after the last fault everything must be answered and quiet."""


@cache
def _behavior(kind: str, dedicated: bool, shards: int, before: bool = False) -> Behavior[Any]:
    made: Behavior[Any]
    made = catalogue()["session"] if kind == "session" else VaultBefore() if before else Vault()
    made.placement = Dedicated() if dedicated else Packed(shards)
    return made


class Outcome(NamedTuple):
    violations: list[tuple[str, str]]
    timeline: list[str]
    virtual_s: float
    faults: dict[str, int]
    checked: int
    turns: int
    handles: int


class World:
    def __init__(self, scenario: Scenario, with_timeline: bool = False) -> None:
        seed = str(scenario.seed)
        self.scenario = scenario
        self.simulator = Simulator()
        self.wall_begins_ms = scenario.wall_begins_ms
        self.wall_jumped_ms = 0
        self.is_released = not scenario.upgrades
        self.history = History()
        self.checks = Checks(self, with_timeline)
        self.network = Network(self.simulator, seed, scenario.latency_s, scenario.network_slow_one_in)
        self.database = Database(self.simulator, seed, scenario.database, -scenario.drift_max / 2)
        self.database.watch = self.checks
        self.processes: dict[str, Process] = {}
        self.fleet = Fleet(self)
        self.clients: list[Client] = []
        self.faults = Faults(self)

    # What everybody needs to know

    @property
    def wall_ms(self) -> float:
        return self.wall_begins_ms + self.wall_jumped_ms + self.simulator.now * 1000.0

    def behavior(self, kind: str) -> Behavior[Any]:
        """As of the release: what the checks measure by."""
        scenario = self.scenario
        dedicated = scenario.sessions_dedicated if kind == "session" else scenario.vaults_dedicated
        return _behavior(kind, dedicated, scenario.shards)

    def behaviors(self) -> list[Behavior[Any]]:
        """As they run now."""
        scenario = self.scenario
        vault = _behavior("vault", scenario.vaults_dedicated, scenario.shards, not self.is_released)
        return [self.behavior("session"), vault]

    def wakes(self, actor: ActorId) -> bool:
        """Whether a reminder of the actor is anybody's business."""
        return self.checks._owner(actor) is not None

    def desire(self, hosts: int) -> None:
        outcome(self.database.membership.set_desired(Desired(hosts, 0)))

    def release(self) -> None:
        self.is_released = True

    def start_processes(self) -> None:
        names = ["coordinator", *(f"gateway-{n}" for n in range(self.scenario.gateways))]
        for name in names:
            self.fleet.ensure(name)

    # The run

    def run(self) -> Outcome:
        watcher = _Defects(self.checks)
        log = logging.getLogger("runtime")
        log.addHandler(watcher)
        propagate, log.propagate = log.propagate, False
        try:
            self._begin()
            self.simulator.run_until(self.scenario.storm_s + 1.0)
            if not self.checks.violations:
                self._calm_down()
        finally:
            log.removeHandler(watcher)
            log.propagate = propagate
        counts = dict(self.faults.counts)
        for kind, count in self.database.counts.items():
            counts[kind] = counts.get(kind, 0) + count
        return Outcome(
            self.checks.violations,
            self.checks.timeline or [],
            self.simulator.now + self.wall_jumped_ms / 1000,
            counts,
            self.checks.checked,
            self.checks.turns,
            self.simulator.handles_run,
        )

    def _begin(self) -> None:
        scenario = self.scenario
        self.checks.note(f"seed {scenario.seed}: {sorted(scenario.faults)}")
        self.checks.note(f"{replace(scenario, faults=frozenset())}")
        self.desire(scenario.hosts)
        self.start_processes()
        for number in range(scenario.devices):
            user = f"user{number % scenario.users}"
            self.clients.append(Device(self, f"device-{number}", user))
        for number in range(scenario.callers):
            self.clients.append(Caller(self, f"caller-{number}"))
        for place, step in enumerate(scenario.plan):
            self.simulator.at(step.at_s, None, self._wish, (place, step))

    def _wish(self, place: int, step: Step) -> None:
        client = self.clients[step.client]
        name, _, vault = step.name.partition(" ")
        actor = ActorId(f"vault/{vault}") if vault else session_actor(client.user)  # type: ignore[attr-defined]
        command_id = f"{client.name}.{place if step.repeats is None else step.repeats}"
        client.wish(actor, command_id, name, step.data)

    def _calm_down(self) -> None:
        self.checks.note("the storm is over")
        self.faults.end()
        self.desire(self.scenario.hosts)
        begun = self.simulator.now
        step = 0.25
        while not self.checks.violations and (reason := unrest(self)) is not None:
            if self.fleet.is_dark:
                # Hours of the night are no time lost.
                self.simulator.run_until(self.simulator.now + 3600.0)
                begun = self.simulator.now
            elif self.simulator.now - begun > REST_S:
                self.checks.violated("progress", f"{REST_S:g} s after the last fault {reason}")
            else:
                self.simulator.run_until(self.simulator.now + step)
                step = min(step * 1.3, 1.0)
        if not self.checks.violations:
            self.checks.note("at rest")
            audit(self)


EXPECTED = (OSError, TimeoutError, RuntimeFault)
"""What a round of the coordinator may meet when the world is as it is."""


class _Defects(logging.Handler):
    """What the runtime logs as a defect is one."""

    def __init__(self, checks: Checks) -> None:
        super().__init__(logging.WARNING)
        self._checks = checks

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._checks.note(f"log: {record.getMessage()} {error!r}" if error else f"log: {record.getMessage()}")
        if error is not None and not isinstance(error, EXPECTED):
            self._checks.violated("defect", f"{record.getMessage()}: {error!r}")
