"""``broadcast``: a table of Crash tells many who only listen."""

from __future__ import annotations

from benchmarks.crash.watchers import WatcherCrowd
from benchmarks.load.generator import Load
from benchmarks.options import LoadOptions, WatchOptions
from benchmarks.scenarios.scenario import Figure, Observation, Scenario


class BroadcastLoad(Load):
    """The pace is the table's: ten ticks a second while a round runs, and nothing between rounds."""

    def __init__(self, options: LoadOptions) -> None:
        self._watchers = WatcherCrowd(
            WatchOptions(
                url=options.url,
                players=options.players,
                table=options.table,
                connections_per_guest=options.connections_per_guest,
                sign_up_parallel=options.sign_up_parallel,
                sign_up_timeout_s=options.sign_up_timeout_s,
                drain_s=options.drain_s,
                seed=options.seed,
                bare=options.bare,
            )
        )
        super().__init__(options, self._watchers)

    def second(self, now_ns: int) -> None:
        self.heard("tick", self._watchers.feed.lag.drain())

    async def stop(self) -> None:
        listening = self._watchers.status().listening
        await super().stop()
        self.figures = {
            "listening": listening,
            "silent": self.options.players - listening,
            "tick_gap_ms": self._watchers.feed.tick_gap_ns_max / 1e6,
            "tick_bytes": self._watchers.feed.tick_bytes,
        }


def _conclude(seen: Observation) -> dict[str, float]:
    used_s = sum(seen.cpu_s.values())
    figures = {"deliveries_per_cpu_s": seen.answers / used_s} if used_s else {}
    if seen.cpu_s.get("gateway"):
        figures["gateway_deliveries_per_cpu_s"] = seen.answers / seen.cpu_s["gateway"]
    return figures


SCENARIO = Scenario(
    name="broadcast",
    summary="many listen to a Crash table: how late its ticks arrive, and what a delivery costs",
    measured="Every connection listens to the same table, which ticks ten times a second while a round runs. "
    "A latency is a tick's lag, from the time written into it by the table to its arrival at one connection; "
    "both clocks are the same only when the server runs on this machine.",
    load=BroadcastLoad,
    kinds=("tick",),
    arrival="deliveries",
    connections=500,
    duration_s=60.0,
    figures=(
        Figure("listening", "", "connections subscribed at the end"),
        Figure("silent", "", "connections that had lost the table"),
        Figure("tick_gap_ms", "ms", "longest silence within a running round", "max"),
        Figure("tick_bytes", "B", "payload of a tick", "max"),
        Figure("deliveries_per_cpu_s", "/s", "ticks delivered per CPU second of the whole server"),
        Figure("gateway_deliveries_per_cpu_s", "/s", "ticks delivered per CPU second of the gateways"),
    ),
    conclude=_conclude,
    thresholds=("error_rate<0.001", "silent==0", "rate>0"),
)
