"""Who owns which shard: decided here, remembered in the membership store.

The coordinator holds nothing that a new one could not read back: it looks at what is, compares
it with what should be, and takes one safe step; over and over. The rules that make a step safe:

- a shard gets a new owner only after its last one released it, or was fenced and is dead or has
  lost its lease;
- a host is fenced only when its process is known to be dead, its lease has run out, or a later life
  of it has begun;
- the map changes by compare-and-set on its epoch, so that of two coordinators one loses.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from runtime.assignment import adopt, balance
from runtime.clock import Clock
from runtime.errors import JournalError
from runtime.identity import ShardId, dedicated_host_name, is_dedicated
from runtime.journal import HostRecord, Incarnation, Membership, ShardMap
from runtime.settings import CoordinatorSettings

_log = logging.getLogger(__name__)


class Fleet(Protocol):
    """The processes, as Ray or a simulation runs them. Calls that fail are repeated next round."""

    async def ensure(self, names: Sequence[str]) -> None:
        """Have a process for each of these hosts, and restart those that died."""
        ...

    async def ensure_gateways(self, names: Sequence[str]) -> None:
        """Have exactly these gateways."""
        ...

    async def retire(self, name: str) -> None:
        """End a host's process for good. Its shards are gone already."""
        ...

    def is_known_dead(self, name: str, incarnation: Incarnation) -> bool:
        """Whether this very process is certainly gone, not just silent."""
        ...

    def discard(self, name: str, incarnation: Incarnation) -> None:
        """End a process that is fenced and silent, if it lives within reach: a dedicated host can have
        no successor while it holds the name."""
        ...

    async def take(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        """Tell a host what it owns."""
        ...

    async def release(self, name: str, incarnation: Incarnation, epoch: int, shards: list[ShardId]) -> None:
        """Ask a host to give shards up; returns when it has. Raises when it cannot be sure."""
        ...


def host_name(index: int) -> str:
    return f"session-host-{index}"


def is_session_host(name: str) -> bool:
    """Whether a host has packed shards; the others are dedicated."""
    return name.removeprefix("session-host-").isdecimal()


def gateway_name(index: int) -> str:
    return f"gateway-{index}"


class Coordinator:
    """Runs the rounds, and hands the map to whoever follows it. ``packed`` are all packed shards,
    ``always_on`` by kind those dedicated ones that have a host whether anybody asks or not; other
    shards of these kinds are given up."""

    def __init__(
        self,
        membership: Membership,
        fleet: Fleet,
        packed: Sequence[ShardId],
        settings: CoordinatorSettings,
        clock: Clock,
        always_on: Mapping[str, Sequence[ShardId]] | None = None,
    ) -> None:
        self._always_on = {kind: set(shards) for kind, shards in (always_on or {}).items()}
        self._clock = clock
        self._impatient_from_s = clock.monotonic() + settings.patience_s
        self._moving: asyncio.Task[None] | None = None
        self._is_begun = False
        self._membership = membership
        self._fleet = fleet
        self._packed = list(packed)
        self._settings = settings
        self._wanted: set[ShardId] = {shard for shards in self._always_on.values() for shard in shards}
        self._unwanted: set[ShardId] = set()
        self._poke = asyncio.Event()
        self._map = ShardMap(-1, {}, {})  # older than any: nothing was published yet
        self._told: dict[Incarnation, int] = {}
        """The epoch of the share that each host has confirmed."""
        self._releasing: set[Incarnation] = set()
        self._changed = asyncio.Condition()
        self.rounds = 0

    @property
    def shard_map(self) -> ShardMap:
        return self._map

    def poke(self) -> None:
        """Something happened: look now instead of at the next tick."""
        self._poke.set()

    def place(self, shard: ShardId) -> None:
        """A router needs an owner for a dedicated shard."""
        if self._is_given_up(shard):
            return
        self._unwanted.discard(shard)
        dedicated = self._wanted | {known for known in self._map.owners if is_dedicated(known)}
        if shard not in dedicated and len(dedicated) >= self._settings.dedicated_hosts_max:
            _log.error("no more dedicated hosts", extra={"shard": shard, "hosts": len(dedicated)})
        elif shard not in self._wanted:
            self._wanted.add(shard)
            self.poke()

    def vacate(self, shard: ShardId) -> None:
        """A dedicated shard's only actor fell idle: its process can go."""
        if any(shard in shards for shards in self._always_on.values()):
            return
        self._wanted.discard(shard)
        self._unwanted.add(shard)
        self.poke()

    def _is_given_up(self, shard: ShardId) -> bool:
        kind = shard.partition("@")[0]
        return kind in self._always_on and shard not in self._always_on[kind]

    async def next_map(self, after_epoch: int, timeout_s: float = 5.0) -> ShardMap:
        """A map newer than ``after_epoch``, or after a while the present one."""
        async with self._changed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait_for(lambda: self._map.epoch > after_epoch)
            except TimeoutError:
                pass
            return self._map

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            if self._moving is not None:
                self._moving.cancel()

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except JournalError as error:
                _log.warning("round skipped", extra={"reason": str(error)})
                self._be_patient()
            except Exception:
                _log.exception("round failed")
            try:
                async with asyncio.timeout(self._settings.reconcile_interval_s):
                    await self._poke.wait()
            except TimeoutError:
                pass
            self._poke.clear()

    def _be_patient(self) -> None:
        self._impatient_from_s = self._clock.monotonic() + self._settings.patience_s

    async def round(self) -> None:
        """One look and one step."""
        self.rounds += 1
        began_s = self._clock.monotonic()
        desired = await self._membership.desired()
        names = [host_name(index) for index in range(desired.session_hosts)]
        shard_map = await self._membership.shard_map()
        if not self._is_begun:
            # What was released and given to nobody, here or by a predecessor that died, comes back to
            # its owner with a new epoch; and of a predecessor that lives, no plan will succeed.
            renewed = await self._assign(shard_map, {})
            if renewed is None:
                return
            shard_map = renewed
            self._is_begun = True
        self._unwanted |= {shard for shard in shard_map.owners if self._is_given_up(shard)}
        dedicated = {s for s in shard_map.owners if is_dedicated(s)} | self._wanted
        dedicated -= self._unwanted
        await self._fleet.ensure([*names, *sorted(dedicated_host_name(s) for s in dedicated)])

        await self._fleet.ensure_gateways([gateway_name(index) for index in range(desired.gateways)])

        hosts = await self._membership.hosts()
        if self._clock.monotonic() - began_s > self._settings.slow_read_s:
            # The membership was out of reach for a while, and so it was for hosts that renew.
            self._be_patient()
        fenced = await self._fence_the_gone(hosts)
        live = {h.incarnation: h for h in hosts if not h.fenced and h.incarnation not in fenced}
        packed = self._by_name(live, names)
        silent = self._silent(hosts, fenced)
        owners = {s: o for s, o in shard_map.owners.items() if o not in silent}
        alone = {owner for shard, owner in shard_map.owners.items() if is_dedicated(shard)}
        for host in hosts:
            if host.incarnation in silent & alone:
                self._fleet.discard(host.name, host.incarnation)

        changes: dict[ShardId, Incarnation | None] = {}
        loads = {i: sum(1 for o in owners.values() if o == i) for i in packed}
        changes |= adopt((s for s in self._packed if s not in owners), loads)
        for shard in dedicated:
            if shard not in owners:
                found = self._by_name(live, [dedicated_host_name(shard)])
                if found:
                    changes[shard] = max(found)
        for shard, owner in shard_map.owners.items():
            # A dedicated shard waits for the next life of its own host.
            if owner in silent and shard not in changes and not is_dedicated(shard):
                changes[shard] = None
        if changes:
            assigned = await self._assign(shard_map, changes)
            if assigned is None:
                return
            shard_map = assigned
        await self._publish(shard_map, live)
        if self._moving is None or self._moving.done():
            # Beside the rounds: a host that is slow to release must not hold up a takeover.
            work = self._rearrange(shard_map, live, packed, names, dedicated)
            self._moving = asyncio.get_running_loop().create_task(work)

    @staticmethod
    def _by_name(live: Mapping[Incarnation, HostRecord], names: Sequence[str]) -> list[Incarnation]:
        """The latest life of each of these hosts."""
        latest: dict[str, Incarnation] = {}
        for incarnation, host in live.items():
            if host.name in names:
                latest[host.name] = max(incarnation, latest.get(host.name, 0))
        return sorted(latest.values())

    async def _fence_the_gone(self, hosts: Sequence[HostRecord]) -> set[Incarnation]:
        """Those that died, fell silent, or were given up: there is a later life of the same name, and
        nobody can tell the earlier one anything any more."""
        impatient = self._clock.monotonic() >= self._impatient_from_s
        latest: dict[str, Incarnation] = {}
        for host in hosts:
            latest[host.name] = max(host.incarnation, latest.get(host.name, 0))
        gone = [
            host
            for host in hosts
            if not host.fenced
            and (
                self._fleet.is_known_dead(host.name, host.incarnation)
                or host.incarnation < latest[host.name]
                or (impatient and host.lease_remaining_s < -self._settings.lease_grace_s)
            )
        ]
        for host in gone:
            _log.warning("host replaced", extra={"host": host.name, "incarnation": host.incarnation})
            await self._membership.fence(host.incarnation)
        if gone:
            self.poke()
        return {host.incarnation for host in gone}

    def _silent(self, hosts: Sequence[HostRecord], just_fenced: set[Incarnation]) -> set[Incarnation]:
        """Owners that will say nothing more, so that others may speak for their actors: fencing stops
        a host from writing, and from renewing, but only the end of its lease stops it from answering.
        What was read before it was fenced does not count: it may have renewed in between."""
        return {
            host.incarnation
            for host in hosts
            if (host.fenced and host.lease_remaining_s < -self._settings.lease_grace_s)
            or (
                (host.fenced or host.incarnation in just_fenced)
                and self._fleet.is_known_dead(host.name, host.incarnation)
            )
        }

    async def _assign(
        self, shard_map: ShardMap, changes: Mapping[ShardId, Incarnation | None]
    ) -> ShardMap | None:
        changed = await self._membership.assign(shard_map.epoch, changes)
        if changed is None:
            self.poke()
        return changed

    async def _publish(self, shard_map: ShardMap, live: Mapping[Incarnation, HostRecord]) -> None:
        """Tell every live host what it owns, then everybody else where things are."""
        shares: dict[Incarnation, list[ShardId]] = defaultdict(list)
        for shard, owner in shard_map.owners.items():
            shares[owner].append(shard)
        unaware = [i for i in live if i not in self._releasing and self._told.get(i) != shard_map.epoch]
        results = await asyncio.gather(
            *(self._fleet.take(live[i].name, i, shard_map.epoch, shares[i]) for i in unaware),
            return_exceptions=True,
        )
        self._told = {i: epoch for i, epoch in self._told.items() if i in live}
        for incarnation, result in zip(unaware, results, strict=True):
            if result is None:
                self._told[incarnation] = shard_map.epoch
            elif not isinstance(result, Exception):
                raise result
        if shard_map.epoch > self._map.epoch:
            async with self._changed:
                self._map = shard_map
                self._changed.notify_all()

    async def _rearrange(
        self,
        shard_map: ShardMap,
        live: Mapping[Incarnation, HostRecord],
        packed: Sequence[Incarnation],
        names: Sequence[str],
        dedicated: set[ShardId],
    ) -> None:
        try:
            await self._move(shard_map, live, packed)
            await self._retire(shard_map, live, names, dedicated)
        except JournalError as error:
            _log.warning("moves broken off", extra={"reason": str(error)})
        except Exception:
            _log.exception("moves failed")

    async def _move(
        self,
        shard_map: ShardMap,
        live: Mapping[Incarnation, HostRecord],
        packed: Sequence[Incarnation],
    ) -> None:
        """Level the load by a few shards, each handed over by its owner."""
        owned: dict[Incarnation, list[ShardId]] = defaultdict(list)
        for shard, owner in shard_map.owners.items():
            if owner in live and not is_dedicated(shard):
                owned[owner].append(shard)
        moves = balance(owned, packed, self._settings.moves_per_round_max)
        by_source: dict[Incarnation, dict[ShardId, Incarnation]] = defaultdict(dict)
        for shard, source, target in moves:
            by_source[source][shard] = target
        for source, targets in by_source.items():
            changed = await self._hand_over(shard_map, live[source], targets)
            if changed is None:
                return
            shard_map = changed
        if moves:
            self.poke()

    async def _hand_over(
        self, shard_map: ShardMap, host: HostRecord, targets: Mapping[ShardId, Incarnation | None]
    ) -> ShardMap | None:
        """Have a host give shards up, and give them to others. None when that did not come about.

        Until it is over the host is told nothing else, or it would take back what it is giving up
        and what somebody else is about to get. Afterwards it is told its share in any case; what it
        gave up in vain, it takes back by a map of a later epoch.
        """
        self._releasing.add(host.incarnation)
        try:
            async with asyncio.timeout(self._settings.release_deadline_s):
                await self._fleet.release(host.name, host.incarnation, shard_map.epoch, list(targets))
            return await self._assign(shard_map, targets)
        except JournalError:
            self._is_begun = False
            raise
        except Exception as error:
            _log.warning("release failed", extra={"host": host.name, "reason": str(error)})
            self._is_begun = False
            return None
        finally:
            self._releasing.discard(host.incarnation)
            self._told.pop(host.incarnation, None)
            self.poke()

    async def _retire(
        self,
        shard_map: ShardMap,
        live: Mapping[Incarnation, HostRecord],
        names: Sequence[str],
        dedicated: set[ShardId],
    ) -> None:
        """End the hosts that nobody needs any more and that own nothing any more."""
        for shard in list(self._unwanted):
            owner = shard_map.owners.get(shard)
            if owner is not None and owner in live:
                changed = await self._hand_over(shard_map, live[owner], {shard: None})
                if changed is None:
                    return
                shard_map = changed
            self._unwanted.discard(shard)
        keep = {*names, *(dedicated_host_name(shard) for shard in dedicated)}
        busy = set(shard_map.owners.values())
        for incarnation, host in live.items():
            if host.name not in keep and incarnation not in busy:
                await self._membership.fence(incarnation)
                await self._fleet.retire(host.name)
