"""Virtual time, and event loops that share it: one loop per simulated process.

Owns scheduling. A process is an event loop of its own, so that killing it is forgetting its
handles (no ``finally`` of it runs, like ``kill -9``), and stopping it is holding them back while
everybody else goes on. Must not read a real clock, and must not order anything by address or hash.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

RUNNING, PAUSED, DEAD = 0, 1, 2

_TICK_S = 1e-6


class Handle:
    """What asyncio calls a (timer) handle. Contexts are not kept: nothing here uses them."""

    __slots__ = ("_cancelled", "_when", "args", "callback", "loop")

    def __init__(
        self, loop: ProcessLoop | None, callback: Callable[..., Any], args: Any, when: float
    ) -> None:
        self.loop = loop
        self.callback = callback
        self.args = args
        self._when = when
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self.callback = self.args = None  # type: ignore[assignment]

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


class Simulator:
    """The only clock there is. ``now`` is in seconds; what is due at once runs in order of arrival."""

    def __init__(self) -> None:
        self.now = 0.0
        self.handles_run = 0
        self.stopped = False
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._serial = 0

    def soon(self, loop: ProcessLoop | None, callback: Callable[..., Any], args: Any = ()) -> Handle:
        handle = Handle(loop, callback, args, self.now)
        self._ready.append(handle)
        return handle

    def at(
        self, when: float, loop: ProcessLoop | None, callback: Callable[..., Any], args: Any = ()
    ) -> Handle:
        """Run ``callback`` at ``when``: inside a process, or outside of all of them (``None``)."""
        handle = Handle(loop, callback, args, when)
        self._serial = serial = self._serial + 1
        heapq.heappush(self._timers, (when, serial, handle))
        return handle

    def after(self, delay: float, callback: Callable[..., Any], *args: Any) -> Handle:
        """Outside of all processes, ``delay`` seconds from now."""
        return self.at(self.now + delay, None, callback, args)

    def run_until(self, deadline: float) -> None:
        """Run everything that is due up to ``deadline``, or until ``stop``."""
        ready, timers = self._ready, self._timers
        pop = heapq.heappop
        set_running = events._set_running_loop
        current: ProcessLoop | None = None
        count = 0
        try:
            while not self.stopped:
                if not ready:
                    if not timers or timers[0][0] > deadline:
                        break
                    self.now = when = timers[0][0]
                    while timers and timers[0][0] == when:
                        ready.append(pop(timers)[2])
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                loop = handle.loop
                if loop is not None:
                    if loop.state:
                        if loop.state == PAUSED:
                            loop.held_back.append(handle)
                        continue
                    if loop.fuse:
                        loop.fuse -= 1
                        if not loop.fuse:
                            # Between two callbacks of one instant, where timers never strike.
                            loop.held_back.append(handle)
                            ready.appendleft(Handle(None, loop.fused, (), self.now))
                            loop.state = PAUSED
                            continue
                if loop is not current:
                    set_running(loop)
                    current = loop
                count += 1
                try:
                    handle.callback(*handle.args)
                except Exception as error:
                    if loop is None:
                        raise
                    loop.call_exception_handler({"message": "callback failed", "exception": error})
            else:
                return
            if self.now < deadline:
                self.now = deadline
        finally:
            self.handles_run += count
            set_running(None)


class ProcessLoop(asyncio.AbstractEventLoop):
    """asyncio's side of one simulated process.

    Its clock runs ``1 + drift`` times as fast as virtual time, and on while the process is paused.
    """

    def __init__(
        self, simulator: Simulator, drift: float, on_defect: Callable[[dict[str, Any]], None]
    ) -> None:
        self._simulator = simulator
        self._rate = 1.0 + drift
        self._born = simulator.now
        # A monotonic clock begins anywhere.
        self._origin = 1000.0
        self._on_defect = on_defect
        self.state = RUNNING
        self.held_back: list[Handle] = []
        self.fuse = 0
        """Callbacks until ``fused`` strikes; 0: never."""
        self.fused: Callable[[], None] = lambda: None
        self.network: Any = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._tasks_max = 64

    def time(self) -> float:
        return self._origin + (self._simulator.now - self._born) * self._rate

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self.state == RUNNING

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Handle:  # type: ignore[override]
        simulator = self._simulator
        handle = Handle(self, callback, args, simulator.now)
        simulator._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Handle:  # type: ignore[override]
        simulator = self._simulator
        if 0.0 < delay < _TICK_S:
            # Less than a float could tell: whoever waits for what is left would wait for ever.
            delay = _TICK_S
        return simulator.at(simulator.now + max(0.0, delay) / self._rate, self, callback, args)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Handle:  # type: ignore[override]
        real = self._born + (when - self._origin) / self._rate
        return self._simulator.at(max(real, self._simulator.now), self, callback, args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: Any = None, context: Any = None) -> Any:
        task = asyncio.Task(coro, loop=self, name=name or "task")
        # What a killed process leaves unfinished is no defect, and must not end by being collected.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        tasks = self._tasks
        tasks.append(task)
        if len(tasks) > self._tasks_max:
            self._tasks = [task for task in tasks if not task.done()]
            self._tasks_max = 64 + 2 * len(self._tasks)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.state != DEAD:
            self._on_defect(context)

    async def create_unix_connection(self, factory: Any, path: str) -> Any:  # type: ignore[override]
        return await self.network.connect(self, factory, path)

    # Life and death

    def pause(self) -> None:
        if self.state == RUNNING:
            self.state = PAUSED

    def resume(self) -> None:
        if self.state == PAUSED:
            self.state = RUNNING
            self._simulator._ready.extend(self.held_back)
            self.held_back = []

    def kill(self) -> None:
        """None of its callbacks will ever run."""
        self.state = DEAD
        self.fuse = 0
        self.held_back = []
