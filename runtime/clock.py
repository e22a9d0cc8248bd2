"""Time, as the runtime sees it. The only module of the core that reads a real clock."""

from __future__ import annotations

import time
from typing import Protocol

_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since the Unix epoch. May jump forwards, never back."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, and run on while the process or the machine is stopped."""
        ...


class SystemClock:
    """The machine's clocks. When its wall clock is set back, time goes on from where it was, as fast as
    ever, until the process ends: a round of a game must not stand still for an hour."""

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.clock_gettime_ns(_BOOT_TIME)

    def now_ms(self) -> int:
        since_boot_ns = time.clock_gettime_ns(_BOOT_TIME)
        ahead_ns = time.time_ns() - since_boot_ns
        if ahead_ns > self._ahead_ns:
            self._ahead_ns = ahead_ns
        return (since_boot_ns + self._ahead_ns) // 1_000_000

    def monotonic(self) -> float:
        # CLOCK_MONOTONIC stands still while the machine is suspended, and a lease must not.
        return time.clock_gettime(_BOOT_TIME)
