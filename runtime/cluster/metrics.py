"""A process's figures in Ray's metrics.

Everything is exported as a gauge, totals too: Ray's agent drops a gauge that nobody refreshes, and keeps
every counter and histogram of a process that has died for ever. ``rate`` and ``histogram_quantile`` ask
for no more than a value that grows and begins at 0 in each life.
"""

from __future__ import annotations

from ray.util.metrics import Gauge

from runtime.cluster.reporter import Figures
from runtime.metrics import Histogram


class ProcessMetrics:
    """``ProcessMetrics("relay", "event-relay").set({"lag_seconds": 0.2, "turns_total": 7})`` exports
    ``ray_casino_relay_lag_seconds{process="event-relay"}`` and ``ray_casino_relay_turns_total``.

    A histogram becomes ``…_bucket``, with the tag ``le``, ``…_sum`` and ``…_count``. Call it once a
    second: what is not set any more is gone after a few. ``process`` must not be a user's or an actor's.
    """

    def __init__(self, part: str, process: str) -> None:
        self._prefix = f"casino_{part}_"
        self._tags = {"process": process}
        self._gauges: dict[str, Gauge] = {}

    def set(self, figures: Figures) -> None:
        for name, value in figures.items():
            if isinstance(value, Histogram):
                buckets = value.cumulative()
                for bound, count in buckets:
                    self._gauge(f"{name}_bucket", "le").set(count, {**self._tags, "le": bound})
                self._gauge(f"{name}_sum").set(value.total, self._tags)
                self._gauge(f"{name}_count").set(buckets[-1][1], self._tags)
            else:
                self._gauge(name).set(value, self._tags)

    def _gauge(self, name: str, *tags: str) -> Gauge:
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(
                self._prefix + name, name.replace("_", " "), tag_keys=("process", *tags)
            )
        return gauge
