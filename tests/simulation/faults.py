"""What goes wrong, when, and to whom. Each kind of fault has its own generator of chance.

Faults of the database and of clocks are rates, set in the scenario; those here are events. All of
them end with the storm.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.loop import PAUSED, RUNNING
from tests.simulation.processes import Process
from tests.simulation.scenario import FAULTS
from tests.simulation.tables import TABLE_FAULTS

if TYPE_CHECKING:
    from tests.simulation.world import World

FUSE_CALLBACKS_MAX = 60
"""A crash or pause in the middle of an instant comes within so many callbacks of its victim."""


class Faults:
    def __init__(self, world: World) -> None:
        self._world = world
        self._simulator = world.simulator
        self._is_over = False
        self.counts: dict[str, int] = {}
        self._paused: dict[Process, None] = {}
        for kind in (*FAULTS, *TABLE_FAULTS):
            strike = getattr(self, f"_{kind}", None)
            if strike is not None and kind in world.scenario.faults:
                self._schedule(kind, strike)

    def _schedule(self, kind: str, strike: Callable[[Random], bool]) -> None:
        scenario = self._world.scenario
        random = Random(f"{scenario.seed}/{kind}")
        rate = scenario.intensity / (4 if kind in ("blackout", "wall_jump", "scale") else 1)
        at = 0.5 + random.expovariate(rate)
        while at < scenario.storm_s + 0.8:
            self._simulator.at(at, None, self._strike, (kind, strike, Random(random.random())))
            at += random.expovariate(rate)

    def _strike(self, kind: str, strike: Callable[[Random], bool], random: Random) -> None:
        if not self._is_over and not (self._world.fleet.is_dark and kind != "wall_jump") and strike(random):
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def end(self) -> None:
        """The storm is over: what was stopped runs on, what was cut is whole."""
        self._is_over = True
        for process in list(self._paused):
            self._resume(process)
        self._world.network.heal()
        self._world.database.heal()

    def _note(self, text: str) -> None:
        self._world.checks.note(f"FAULT {text}")

    def _one(self, random: Random, of: list[Process]) -> Process | None:
        return random.choice(of) if of else None

    def _sharply(self, random: Random, process: Process, strike: Callable[[], None]) -> None:
        """Now, or between two callbacks of the same instant."""
        loop = process.loop
        if loop.state == RUNNING and random.random() < 0.6:
            loop.fuse = random.randint(1, FUSE_CALLBACKS_MAX)

            def fused() -> None:
                loop.state = RUNNING
                held, loop.held_back = loop.held_back, []
                strike()
                if loop.state == RUNNING:
                    self._simulator._ready.extendleft(reversed(held))
                elif loop.state == PAUSED:
                    loop.held_back = held

            loop.fused = fused
        else:
            strike()

    # Processes

    def _crash(self, random: Random, process: Process | None, told: bool) -> bool:
        if process is None:
            return False
        self._note(f"crash of {process.name}")
        self._sharply(random, process, lambda: self._world.fleet.crash(process, told))
        return True

    def _pause(self, random: Random, process: Process | None, superseded: bool = False) -> bool:
        if process is None or process.loop.state != RUNNING:
            return False
        lease_s = self._world.scenario.host.lease_s
        duration = random.choice((0.02, 0.2, lease_s * 0.5, lease_s, lease_s * 1.3, lease_s * 2.5))
        if superseded:
            duration = lease_s * (0.3 + 3 * random.random())
        self._note(f"pause of {process.name} for {duration:.3f} s" + (", superseded" if superseded else ""))

        def pause() -> None:
            if self._is_over or not process.is_alive:
                return
            process.loop.pause()
            self._paused[process] = None
            self._simulator.after(duration, self._resume, process)
            if superseded:
                self._simulator.after(duration * random.random(), self._world.fleet.supersede, process)

        self._sharply(random, process, pause)
        return True

    def _resume(self, process: Process) -> None:
        if self._paused.pop(process, process) is None and process.is_alive:
            self._world.checks.note(f"{process.name} life {process.life} runs on")
            process.loop.resume()

    def _host_crash(self, random: Random) -> bool:
        return self._crash(random, self._one(random, self._world.fleet.hosts), told=True)

    def _host_lost(self, random: Random) -> bool:
        return self._crash(random, self._one(random, self._world.fleet.hosts), told=False)

    def _host_pause(self, random: Random) -> bool:
        return self._pause(random, self._one(random, self._world.fleet.hosts))

    def _host_superseded(self, random: Random) -> bool:
        return self._pause(random, self._one(random, self._world.fleet.hosts), superseded=True)

    def _tables(self) -> list[Process]:
        names = {table.host_name for table in self._world.scenario.tables}
        return [process for process in self._world.fleet.hosts if process.name in names]

    def _table_crash(self, random: Random) -> bool:
        return self._crash(random, self._one(random, self._tables()), told=True)

    def _table_lost(self, random: Random) -> bool:
        return self._crash(random, self._one(random, self._tables()), told=False)

    def _table_pause(self, random: Random) -> bool:
        return self._pause(random, self._one(random, self._tables()))

    def _table_superseded(self, random: Random) -> bool:
        return self._pause(random, self._one(random, self._tables()), superseded=True)

    def _table_cut(self, random: Random) -> bool:
        return self._cut(random, self._one(random, self._tables()))

    def _gateway_crash(self, random: Random) -> bool:
        return self._crash(random, self._one(random, self._world.fleet.live("gateway")), told=True)

    def _gateway_pause(self, random: Random) -> bool:
        return self._pause(random, self._one(random, self._world.fleet.live("gateway")))

    def _coordinator_crash(self, random: Random) -> bool:
        return self._crash(random, self._one(random, self._world.fleet.live("coordinator")), told=True)

    def _coordinator_superseded(self, random: Random) -> bool:
        return self._pause(random, self._one(random, self._world.fleet.live("coordinator")), superseded=True)

    def _scale(self, random: Random) -> bool:
        hosts = random.randint(1, 4)
        self._note(f"{hosts} hosts are desired")
        self._world.desire(hosts)
        return True

    def _blackout(self, random: Random) -> bool:
        """Everything of ours is down, for hours; clients sleep. A release may come with it."""
        world = self._world
        hours = random.randint(1, 30)
        self._note(f"blackout for {hours} h")
        fleet = world.fleet
        fleet.is_dark = True
        for process in [*world.processes.values(), *fleet.others]:
            fleet.crash(process, told=True)
        for client in world.clients:
            client.process.loop.pause()
        world.release()
        world.simulator.after(hours * 3600.0, self._dawn)
        return True

    def _dawn(self) -> None:
        world = self._world
        world.fleet.is_dark = False
        for client in world.clients:
            client.process.loop.resume()
        world.start_processes()

    # The network

    def _ends(self, of: list[Process]) -> list[object]:
        return [end for process in of for end in self._world.network.open.get(process.name, ())]

    def _stream_break(self, random: Random) -> bool:
        ends = self._ends(self._world.fleet.hosts)
        if not ends:
            return False
        end = random.choice(ends)
        self._note(f"stream {end.there} → {end.here} breaks")  # type: ignore[attr-defined]
        end.lose()  # type: ignore[attr-defined]
        return True

    def _half_open(self, random: Random) -> bool:
        """One direction of a stream swallows everything, until somebody hangs up."""
        ends = self._ends(self._world.fleet.hosts)
        if not ends:
            return False
        end = random.choice(ends)
        end = random.choice((end, end.peer))  # type: ignore[attr-defined]
        self._note(f"stream {end.here} → {end.there} swallows all")
        end.half_open = True
        # The kernel gives a silent peer up at last.
        self._simulator.after(1.0 + 4.0 * random.random(), end.lose)
        return True

    def _client_break(self, random: Random) -> bool:
        ends = self._ends(self._world.fleet.live("gateway"))
        if not ends:
            return False
        end = random.choice(ends)
        self._note(f"stream {end.there} → {end.here} breaks")  # type: ignore[attr-defined]
        end.lose()  # type: ignore[attr-defined]
        return True

    def _partition(self, random: Random) -> bool:
        names = [p.name for p in self._world.processes.values() if p.is_alive]
        names += [client.name for client in self._world.clients]
        here, there = random.sample(names, 2)
        duration = 4.0 * random.random()
        self._note(f"nothing gets from {here} to {there} for {duration:.3f} s")
        self._world.network.cut(here, there, duration)
        if random.random() < 0.5:
            self._world.network.cut(there, here, duration)
        return True

    # The database and the clocks

    def _database_cut(self, random: Random) -> bool:
        of = self._world.fleet.hosts + self._world.fleet.live("coordinator")
        return self._cut(random, self._one(random, of))

    def _cut(self, random: Random, process: Process | None) -> bool:
        """From the database, one way."""
        if process is None:
            return False
        is_request = random.random() < 0.5
        duration = random.choice((0.2, 1.0, 3.0)) * random.random() * self._world.scenario.host.lease_s
        self._note(
            f"{'requests' if is_request else 'answers'} of {process.name} are lost for {duration:.3f} s"
        )
        self._world.database.cut(process.name, is_request, duration)
        return True

    def _database_down(self, random: Random) -> bool:
        duration = random.choice((0.05, 0.5, 2.0, 5.0)) * random.random()
        self._note(f"the database is down for {duration:.3f} s")
        self._world.database.go_down(duration)
        return True

    def _wall_jump(self, random: Random) -> bool:
        hours = random.choice((1, 5, 12, 24, 30))
        self._note(f"it is {hours} h later")
        self._world.wall_jumped_ms += hours * 3_600_000
        return True
