"""``resume``: everybody's network fails at the same moment, and everybody comes back."""

from __future__ import annotations

import asyncio
from time import monotonic_ns

from benchmarks.load.commander import Commander
from benchmarks.load.generator import Load, LoadCrowd
from benchmarks.options import LoadOptions
from benchmarks.scenarios.scenario import Figure, Scenario
from clients.token_keeper import TokenKeeper

_KINDS = {"spin_slots": "resume"}
_PAUSE_S = 1.0
"""Between everybody's return and the next storm."""


class ResumeLoad(Load):
    """One storm after another. Each player is cut off with a spin on its way, so that events come while
    it is away; it is live again when that spin was answered, under its own id."""

    def __init__(self, options: LoadOptions) -> None:
        self._players = LoadCrowd(options, self._new_player)
        super().__init__(options, self._players)
        self._storming: asyncio.Task[None] | None = None
        self._away = 0
        self._all_back = asyncio.Event()
        self._snapshots = 0
        self.figures = {"storms": 0, "all_live_ms": 0.0, "missing": 0, "snapshots": 0}

    async def __aexit__(self, *exception: object) -> None:
        if self._storming is not None:
            self._storming.cancel()
            await asyncio.gather(self._storming, return_exceptions=True)
        await super().__aexit__(*exception)

    def begin(self) -> None:
        self._snapshots = self._players.counter.snapshots
        self._storming = asyncio.create_task(self._storm())

    async def stop(self) -> None:
        self.is_ending = True
        await super().stop()
        self.figures["missing"] = self._players.event_gaps
        self.figures["snapshots"] = self._players.counter.snapshots - self._snapshots

    async def _storm(self) -> None:
        while not self.is_ending:
            self._all_back.clear()
            players = list(self._players.players.values())
            self._away = len(players)
            now_ns = monotonic_ns()
            for player in players:
                self.began(now_ns)
                player.command("spin_slots", {"stake": 1}, now_ns)
                player.lose_connection()
            await self._all_back.wait()
            if self.recorder.counts(now_ns):
                self.figures["storms"] += 1
                took_ms = (monotonic_ns() - now_ns) / 1e6
                self.figures["all_live_ms"] = max(self.figures["all_live_ms"], took_ms)
            await asyncio.sleep(_PAUSE_S)

    def _back(self, _: Commander) -> None:
        self._away -= 1
        if self._away == 0:
            self._all_back.set()

    def _new_player(self, crowd: LoadCrowd[Commander], tokens: TokenKeeper, id_prefix: str) -> Commander:
        return Commander(self, crowd, tokens, id_prefix, _KINDS, self._back)


SCENARIO = Scenario(
    name="resume",
    summary="every connection is lost at once: time until all are live again, and no event missing",
    measured="All connections are cut at the same moment, each with a spin on its way; players reconnect as "
    "clients do, with a short random back-off, resume their events and repeat the spin under its id. A "
    "latency is the time from the cut to that spin's answer: reconnected, authenticated, missed events "
    "delivered, nothing done twice.",
    load=ResumeLoad,
    kinds=("resume",),
    arrival="resumes",
    connections=200,
    figures=(
        Figure("storms", "", "times that everybody was cut off", "max"),
        Figure("all_live_ms", "ms", "longest time until all were live again", "max"),
        Figure("missing", "", "gaps in the events of any player"),
        Figure("snapshots", "", "resumes answered with a snapshot instead of the missed events"),
    ),
    thresholds=("error_rate<0.001", "lost==0", "missing==0"),
)
