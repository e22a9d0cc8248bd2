"""Whether whoever loses a shard has finished with it, judged at the instant at which it is lost.

A wrong handover shows to clients only when both owners happen to speak or write; here it shows at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.identity import ShardId
from runtime.journal import Incarnation
from tests.simulation.processes import HostService

if TYPE_CHECKING:
    from tests.simulation.checks import Checks


class Handovers:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._owners: dict[ShardId, Incarnation] = {}

    def assigned(self) -> None:
        """The map may have changed."""
        membership = self._checks.world.database.membership
        before, self._owners = self._owners, dict(membership._owners)
        for shard, owner in before.items():
            now = self._owners.get(shard)
            if now == owner or not self._holds(owner, shard):
                continue
            if membership.may_write(owner):
                self._checks.violated("handover", f"{shard} goes to {now}, and {owner} may write for it")
            elif self._may_speak(owner):
                self._checks.violated("handover", f"{shard} goes to {now}, and {owner} may speak for it")

    def _living(self, incarnation: Incarnation) -> HostService | None:
        world = self._checks.world
        for process in [*world.processes.values(), *world.fleet.others]:
            service = process.service
            if isinstance(service, HostService) and service.incarnation == incarnation and process.is_alive:
                return service
        return None

    def _holds(self, incarnation: Incarnation, shard: ShardId) -> bool:
        """Whether it believes to own the shard, or has not let go of its last actor."""
        service = self._living(incarnation)
        if service is None or service.host is None:
            return False
        return shard in service.host.owned or bool(service.host._of({shard}))

    def _may_speak(self, incarnation: Incarnation) -> bool:
        """By its own clock, which runs on while it is paused."""
        service = self._living(incarnation)
        return service is not None and service.host._lease.is_valid()
