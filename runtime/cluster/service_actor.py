"""Services as Ray actors: one process each, of which the cluster has one.

They yield to those who serve players: what they do can be done a moment later.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from runtime.clock import SystemClock
from runtime.cluster.metrics import ProcessMetrics
from runtime.cluster.reporter import Reporter
from runtime.cluster.wiring import NAMESPACE, Wiring

_log = logging.getLogger(__name__)

ENDED_EXIT = 71
"""Exit status of a process whose service has ended by itself."""

_NICENESS = 10
_ASK_DEADLINE_S = 10.0


class ServiceProcess:
    """Everything an operator or the coordinator can ask of a service."""

    async def __init__(self, name: str, wiring: Wiring) -> None:  # type: ignore[misc]  # Ray awaits it
        wiring.set_up_process(name)
        os.nice(_NICENESS)
        self._name = name
        self._is_leaving = False
        self._service = await wiring.open_service(name)
        kind = self._service.kind
        self._metrics = {part: ProcessMetrics(part, name) for part in self._service.parts()}
        self._reporter = Reporter(
            name,
            kind,
            self._service.figures,
            await wiring.open_status_writer(),
            SystemClock(),
            ProcessMetrics(kind, name),
            self._details,
        )
        self._reporter.start()
        self._running = asyncio.create_task(self._run())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name}, pid {os.getpid()})"

    async def _run(self) -> None:
        try:
            await self._service.run()
            _log.error("the service has ended", extra={"service": self._name})
        except Exception:
            _log.exception("the service failed", extra={"service": self._name})
        finally:
            if not self._is_leaving:
                # However it ended: a process that does nothing any more must make room for the next.
                os._exit(ENDED_EXIT)

    async def drain(self) -> None:
        """Stop. What is not done stays where it is, for the next life."""
        self._is_leaving = True
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._service.stop()
        await self._reporter.stop()

    async def status(self) -> dict[str, Any]:
        """Figures for an operator."""
        return {
            "name": self._name,
            "pid": os.getpid(),
            **self._service.figures(),
            **self._service.parts(),
        }

    def _details(self) -> Mapping[str, Any]:
        parts = self._service.parts()
        for part, figures in parts.items():
            self._metrics[part].set(figures)
        return {**parts, "recent": self._service.recent()}

    async def ask(self, question: str, arguments: Mapping[str, Any]) -> Any:
        return await self._service.ask(question, arguments)


class EventRelay(ServiceProcess):
    """Publishes what the journal says."""


class EventSink(ServiceProcess):
    """Takes events off the bus, into the analytics store."""


SERVICES: Mapping[str, type[ServiceProcess]] = {"event-relay": EventRelay, "event-sink": EventSink}
"""Named one by one, because Ray's dashboard groups actors by class."""


async def ask_service(name: str, question: str, **arguments: Any) -> Any:
    """Put a question to a running service, from a process that has joined its cluster.

    Raises:
        ConnectionError: there is no such service, or it did not answer in time.
        ValueError: it does not know the question.
    """
    try:
        handle = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
    except ValueError:
        raise ConnectionError(f"{name} is not running") from None
    try:
        async with asyncio.timeout(_ASK_DEADLINE_S):
            return await handle.ask.remote(question, arguments)
    except (RayError, TimeoutError) as error:
        if isinstance(error, ValueError):
            raise
        raise ConnectionError(f"{name} does not answer: {type(error).__name__}") from None
