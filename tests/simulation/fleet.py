"""Births and deaths of processes: what Ray, the kernel and an operator do to them.

Knows which names are to run and starts a new life of what died. Never dies itself.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.simulation.processes import (
    CoordinatorService,
    GatewayService,
    HostService,
    Process,
)

if TYPE_CHECKING:
    from tests.simulation.world import World


class Fleet:
    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"{world.scenario.seed}/fleet")
        self._lives: dict[str, int] = {}
        self.managed: dict[str, None] = {}
        self.graveyard: list[Process] = []
        """Kept to the end, so that nothing of a dead process is collected and so run."""
        self.others: list[Process] = []
        """Lives that were replaced and live on."""
        self.is_dark = False
        """Nothing starts while everything is down."""

    def live(self, prefix: str) -> list[Process]:
        return [p for n, p in self._world.processes.items() if n.startswith(prefix) and p.is_alive]

    @property
    def hosts(self) -> list[Process]:
        return [
            p for p in self._world.processes.values() if isinstance(p.service, HostService) and p.is_alive
        ]

    def ensure(self, name: str) -> None:
        """A coordinator wants a process of this name."""
        self.managed[name] = None
        process = self._world.processes.get(name)
        if process is None or not process.is_alive:
            self._start(name)

    def _start(self, name: str) -> None:
        world = self._world
        if self.is_dark or name not in self.managed:
            return
        before = world.processes.get(name)
        if before is not None and before.is_alive:
            return
        self.begin(name)

    def begin(self, name: str) -> Process:
        """A new life, whatever became of the last one."""
        world = self._world
        life = self._lives[name] = self._lives.get(name, 0) + 1
        process = Process(world, name, life)
        world.processes[name] = process
        world.checks.note(f"{name} starts, life {life}")
        if name == "coordinator":
            process.service = CoordinatorService(process)
        elif name.startswith("gateway"):
            process.service = GatewayService(process)
        else:
            # Some machines are far from the coordinator's: their deaths are only silence.
            process.is_remote = Random(f"{world.scenario.seed}/place/{name}").random() < 0.3
            process.service = HostService(process)
        process.start(process.service.main)
        return process

    def retire(self, name: str) -> None:
        self.managed.pop(name, None)
        process = self._world.processes.get(name)
        if process is not None and process.is_alive:
            self._world.checks.note(f"{name} is retired")
            self._bury(process, told=True)

    def exited(self, process: Process) -> None:
        """It ended itself: it was fenced."""
        if process.is_alive:
            self._world.checks.note(f"{process.name} life {process.life} stops itself")
            self.crash(process, told=True)

    def crash(self, process: Process, told: bool) -> None:
        """End a life like ``kill -9``, or with its whole machine when nobody is ``told``."""
        if not process.is_alive:
            return
        self._world.checks.note(f"{process.name} life {process.life} dies" + ("" if told else ", unheard"))
        self._bury(process, told)
        if self._world.processes.get(process.name) is process:
            delay = 0.1 + 0.9 * self._random.random()
            self._world.simulator.after(delay, self._start, process.name)

    def _bury(self, process: Process, told: bool) -> None:
        world = self._world
        process.loop.kill()
        self.graveyard.append(process)
        if process in self.others:
            self.others.remove(process)
        world.network.process_died(process.name, process.loop, told)
        if told:
            world.network.calls_died(process.calls)
        process.calls = []
        service = process.service
        if isinstance(service, HostService) and service.incarnation and not process.is_remote and told:
            delay = 0.002 + 0.05 * self._random.random()
            world.simulator.after(delay, self._report, process.name, service.incarnation)

    def _report(self, name: str, incarnation: int) -> None:
        """The kernel tells the coordinators that watched this very process."""
        for process in [self._world.processes.get("coordinator"), *self.others]:
            if process is None or not process.is_alive:
                continue
            service = process.service
            if isinstance(service, CoordinatorService) and (name, incarnation) in service.fleet.watched:
                service.fleet.dead.add((name, incarnation))
                process.loop.call_soon(service.core.poke)

    def supersede(self, process: Process) -> None:
        """Declare a silent process dead, while it lives on, and start its next life."""
        if self._world.processes.get(process.name) is process and process.is_alive and not self.is_dark:
            self._world.checks.note(f"{process.name} life {process.life} is given up, but lives")
            self.others.append(process)
            self.begin(process.name)
