"""What the Ray actors ask of whoever deploys them. Implemented once, in ``deploy``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from runtime.behavior import Behavior
from runtime.cluster.reporter import Figures, StatusWriter
from runtime.journal import Journal, Membership
from runtime.router import Router
from runtime.routing import PushListener
from runtime.settings import CoordinatorSettings, HostSettings, RouterSettings

NAMESPACE = "casino"
COORDINATOR = "coordinator"

MakeRouter = Callable[[PushListener], Router]


class GatewayProcess(Protocol):
    """The part of a gateway process that is not ours to know."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Send every client elsewhere, and end."""
        ...

    def status(self) -> dict[str, int]: ...


class Service(Protocol):
    """Work that one process of the cluster does for all, beside the actors: it moves events on."""

    @property
    def kind(self) -> str:
        """What its figures are called by: ``relay``, ``sink``."""
        ...

    async def run(self) -> None:
        """Work until cancelled. When it ends by itself, or raises, so does its process, and Ray starts
        the next one."""
        ...

    async def stop(self) -> None:
        """Give back what it holds. Called after ``run`` was cancelled."""
        ...

    def figures(self) -> Figures:
        """Of itself, each second."""
        ...

    def parts(self) -> Mapping[str, Figures]:
        """Of what it works with, by what that is called."""
        ...

    def recent(self) -> list[Any]:
        """A few of the latest things it handled, as plain objects, newest last."""
        ...

    async def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        """An operator's question, answered by plain objects. Raises ``ValueError`` for one that it does
        not know."""
        ...


class Wiring(Protocol):
    """Travels to every Ray actor by pickle, so it holds configuration, never connections."""

    @property
    def host_settings(self) -> HostSettings: ...

    @property
    def router_settings(self) -> RouterSettings: ...

    @property
    def coordinator_settings(self) -> CoordinatorSettings: ...

    @property
    def cluster_secret(self) -> bytes: ...

    def behaviors(self) -> list[Behavior[Any]]:
        """Every kind of actor, without what only their hosts may know."""
        ...

    async def open_behaviors(self, host_name: str) -> list[Behavior[Any]]:
        """Every kind of actor, with the secrets that a host of this name needs. May raise: then the
        host does not start."""
        ...

    def always_on(self) -> Mapping[str, Sequence[str]]:
        """Keys of the actors that are there whether anybody asks or not, by kind."""
        ...

    def stream_address(self, host_name: str) -> str:
        """Where a host of this name should listen for data streams."""
        ...

    def set_up_process(self, name: str) -> None:
        """Logging, and whatever else a process needs once."""
        ...

    async def open_journal(self) -> Journal: ...

    async def open_membership(self) -> Membership: ...

    async def open_status_writer(self) -> StatusWriter:
        """Where a process says every second how it is."""
        ...

    async def open_gateway(self, name: str, make_router: MakeRouter) -> GatewayProcess: ...

    def services(self) -> Sequence[str]:
        """Names of the services there are: ``event-relay``, ``event-sink``."""
        ...

    async def open_service(self, name: str) -> Service: ...
