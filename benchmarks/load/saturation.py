"""Whether the load generator itself was the limit. Pure.

A generator that is late, or has no CPU left, measures itself: then the server can do more than the
figures show, and the reader has to be told.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

CPU_SHARE_MAX = 0.9
"""Of one core: a generator is one thread, and beyond this it waits for itself."""
LATE_MS_MAX = 10.0
"""p99, within a second, of how late arrivals were begun (or, in a closed loop, of the event loop)."""
SECONDS_SHARE_MAX = 0.05
"""Of a run: a single late second in a minute is a hiccup, which the latencies show anyway."""


class GeneratorSecond(msgspec.Struct, frozen=True):
    """About one second of one generator process."""

    cpu_share: float
    """CPU time over time passed; 1.0 is one core."""
    late_p50_ms: float
    late_p99_ms: float

    @property
    def is_saturated(self) -> bool:
        return self.cpu_share > CPU_SHARE_MAX or self.late_p99_ms > LATE_MS_MAX


def saturation(processes: Sequence[Sequence[GeneratorSecond]], given_up: int = 0) -> list[str]:
    """Why the generators were the limit, in words, from the measured seconds of each process; empty when
    they were not. ``given_up`` are arrivals that no process could begin in time."""
    reasons = []
    for number, seconds in enumerate(processes):
        saturated = [second for second in seconds if second.is_saturated]
        if len(saturated) <= SECONDS_SHARE_MAX * len(seconds):
            continue
        cpu_share = max(second.cpu_share for second in saturated)
        late_ms = max(second.late_p99_ms for second in saturated)
        reasons.append(
            f"generator process {number} in {len(saturated)} of {len(seconds)} s: "
            f"CPU up to {cpu_share:.0%} of a core, late by up to {late_ms:,.1f} ms (p99)"
        )
    if given_up:
        reasons.append(f"{given_up:,} arrivals given up, because they could not be begun in time")
    return reasons
