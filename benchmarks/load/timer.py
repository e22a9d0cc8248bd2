"""Waking at a time to within some ten microseconds.

Event loops keep their timers in milliseconds, which would be a large part of what is measured here. The
kernel's timer is a descriptor like a socket, and as exact as its clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_NS = 1_000_000_000

_libc = ctypes.CDLL(None, use_errno=True)


class _TimeSpec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _TimerSpec(ctypes.Structure):
    _fields_ = [("interval", _TimeSpec), ("value", _TimeSpec)]


class ExactTimer:
    """Calls ``ring`` on the running loop at the time it was set to. Linux's ``timerfd``."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """Raises ``OSError`` where the kernel has none to give."""
        self._descriptor = _libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._rang)

    def set(self, at_ns: int) -> None:
        """Ring once at ``at_ns`` of ``time.monotonic_ns``, or at once if that has passed; what was set
        before is forgotten."""
        # 0 would disarm it.
        at_ns = max(at_ns, 1)
        spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(at_ns // _NS, at_ns % _NS))
        if _libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """It rings no more. A second time does nothing."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _rang(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, 8)
            self._ring()
