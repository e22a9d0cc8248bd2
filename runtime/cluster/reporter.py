"""Telling of a process once a second: its figures to the metrics, its status to a board."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from runtime.clock import Clock
from runtime.metrics import Histogram, Rates

_log = logging.getLogger(__name__)

_INTERVAL_S = 1.0
_LAG_SAMPLES = 10
"""A second: of each, how late the event loop was."""

Figures = Mapping[str, float | Histogram]
"""Numbers by name, with the unit at its end; totals end in ``_total``."""


class StatusWriter(Protocol):
    """A board where processes say how they are."""

    async def write(self, process: str, status: Mapping[str, Any]) -> None:
        """Replace what the process said before. Raises ``RuntimeError`` or ``OSError`` while it is away."""
        ...

    async def close(self) -> None: ...


class Metrics(Protocol):
    """See ``runtime.cluster.metrics.ProcessMetrics``."""

    def set(self, figures: Figures) -> None: ...


class Reporter:
    """``figures`` go to the metrics; those that are plain numbers to the board, too, with what ``status``
    adds, and each ``…_total`` with its ``…_per_s`` over the last few seconds."""

    def __init__(
        self,
        process: str,
        kind: str,
        figures: Callable[[], Figures],
        board: StatusWriter,
        clock: Clock,
        metrics: Metrics | None = None,
        status: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self._process = process
        self._kind = kind
        self._figures = figures
        self._status = status
        self._board = board
        self._clock = clock
        self._metrics = metrics
        self._rates = Rates()
        self._is_heard = True
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._board.close()

    async def _run(self) -> None:
        while True:
            lag_s = await self._lag_s()
            try:
                await self._report(lag_s)
            except Exception:
                # Nobody must be worse off for not being watched.
                _log.exception("not reported")

    async def _lag_s(self) -> float:
        """The most that the loop was late in one interval, in which it passes the time."""
        worst_s = 0.0
        for _ in range(_LAG_SAMPLES):
            asked_s = self._clock.monotonic()
            await asyncio.sleep(_INTERVAL_S / _LAG_SAMPLES)
            worst_s = max(worst_s, self._clock.monotonic() - asked_s - _INTERVAL_S / _LAG_SAMPLES)
        return worst_s

    async def _report(self, lag_s: float) -> None:
        figures = {**self._figures(), "loop_lag_seconds": round(lag_s, 6)}
        if self._metrics is not None:
            self._metrics.set(figures)
        numbers = {name: value for name, value in figures.items() if not isinstance(value, Histogram)}
        totals = {name.removesuffix("_total"): v for name, v in numbers.items() if name.endswith("_total")}
        rates = self._rates.sample(self._clock.monotonic(), totals)
        status = {
            "kind": self._kind,
            "at_ms": self._clock.now_ms(),
            **numbers,
            **{f"{name}_per_s": rate for name, rate in rates.items()},
            **self._status(),
        }
        try:
            await self._board.write(self._process, status)
            self._is_heard = True
        except (OSError, RuntimeError) as error:
            if self._is_heard:
                _log.warning("the status board is away", extra={"reason": str(error)})
            self._is_heard = False
