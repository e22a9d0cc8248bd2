"""Time, as the runtime sees it. The only module of the core that reads a real clock."""

from __future__ import annotations

import time
from typing import Protocol

_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since the Unix epoch. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, and run on while the process or the machine is stopped."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        # CLOCK_MONOTONIC stands still while the machine is suspended, and a lease must not.
        return time.clock_gettime(_BOOT_TIME)
