"""One run: a cluster and its clients in a seeded world, from its first instant to its audit.

Puts the parts together and says when they begin and end. Decides nothing itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from actors.catalogue import behaviors as catalogue
from actors.crash.messages import KIND as CRASH
from actors.crash.round import TableRules
from actors.crash.table import CrashTable
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
from tests.simulation.tables import Hashes
from tests.simulation.vault import Vault, VaultBefore

Rules = tuple[tuple[str, TableRules], ...]
REST_S = 120.0
"""Within this time after the last fault everything must be answered and quiet."""


@lru_cache(128)
def _vault(dedicated: bool, shards: int, before: bool) -> Behavior[Any]:
    made = VaultBefore() if before else Vault()
    made.placement = Dedicated() if dedicated else Packed(shards)
    return made


@lru_cache(128)
def _session(dedicated: bool, shards: int, tables: Rules) -> Behavior[Any]:
    made = catalogue(dict(tables))["session"]
    made.placement = Dedicated() if dedicated else Packed(shards)
    return made


def _table(tables: Rules, hashes: Hashes | None) -> Behavior[Any]:
    made = CrashTable(dict(tables), hashes)
    # As often as the host does for others.
    made.snapshot_interval_turns = None  # type: ignore[misc]
    return made


_blind_table = lru_cache(128)(lambda tables: _table(tables, None))


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
        self._rules: Rules = tuple((table.name, table.rules) for table in scenario.tables)
        self.checks = Checks(self, with_timeline)
        self.network = Network(self.simulator, seed, scenario.latency_s, scenario.network_slow_one_in)
        self.database = Database(self.simulator, seed, scenario.database, -scenario.drift_max / 2)
        self.database.watch = self.checks
        self.processes: dict[str, Process] = {}
        self.fleet = Fleet(self)
        self.clients: list[Client] = []
        self.wishes_left = 0
        self._awaiting: dict[tuple[str, int, str], list[tuple[int, Step]]] = {}
        self.checks.tables.reached = self._reached
        self.faults = Faults(self)

    # What everybody needs to know

    @property
    def wall_ms(self) -> float:
        return self.wall_begins_ms + self.wall_jumped_ms + self.simulator.now * 1000.0

    def behavior(self, kind: str) -> Behavior[Any]:
        """As of the release: what the checks measure by. Its tables know no hash."""
        scenario = self.scenario
        if kind == CRASH:
            return _blind_table(self._rules)
        if kind == "session":
            return _session(scenario.sessions_dedicated, scenario.shards, self._rules)
        return _vault(scenario.vaults_dedicated, scenario.shards, False)

    def behaviors(self, host: str = "") -> list[Behavior[Any]]:
        """As they run now. Only the host of a table gets its hashes."""
        scenario = self.scenario
        made = [
            self.behavior("session"),
            _vault(scenario.vaults_dedicated, scenario.shards, not self.is_released),
        ]
        if scenario.tables:
            own = [Hashes(table) for table in scenario.tables if table.host_name == host]
            made.append(_table(self._rules, own[0]) if own else self.behavior(CRASH))
        return made

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
        logs = [logging.getLogger(name) for name in ("runtime", "gateway")]
        propagate = [log.propagate for log in logs]
        for log in logs:
            log.addHandler(watcher)
            log.propagate = False
        try:
            self._begin()
            self.simulator.run_until(self.scenario.storm_s + 1.0)
            if not self.checks.violations:
                self._calm_down()
        finally:
            for log, was in zip(logs, propagate, strict=True):
                log.removeHandler(watcher)
                log.propagate = was
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
            topics = scenario.watching.get(number, ())
            self.clients.append(Device(self, f"device-{number}", user, topics))
        for number in range(scenario.callers):
            self.clients.append(Caller(self, f"caller-{number}"))
        self.wishes_left = len(scenario.plan)
        for place, step in enumerate(scenario.plan):
            if step.after is None:
                self.simulator.at(step.at_s, None, self._wish, (place, step))
            else:
                self._awaiting.setdefault(step.after, []).append((place, step))

    def _reached(self, table: str, round_number: int, phase: str) -> None:
        """A round came to a phase, for good."""
        for place, step in self._awaiting.pop((table, round_number, phase), ()):
            self.simulator.after(step.at_s, self._wish, place, step)

    def _wish(self, place: int, step: Step) -> None:
        self.wishes_left -= 1
        client = self.clients[step.client]
        name, _, to = step.name.partition(" ")
        if name in ("subscribe", "unsubscribe"):
            client.watch(ActorId(to), name)  # type: ignore[attr-defined]
            return
        user = getattr(client, "user", "")
        actor = ActorId(to if "/" in to else f"vault/{to}") if to else session_actor(user)
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
