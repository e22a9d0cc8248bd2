"""One generator process of a scenario: begins arrivals when they are due, and measures what comes.

Owns the pace and the measurement. What an arrival does is the scenario's, whose :class:`Load` subclass
says it in :meth:`Load.arrive`; how players survive is ``player``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns, process_time
from typing import Generic, TypeVar

import msgspec

from benchmarks.crowd import Crowd
from benchmarks.load.pacer import Pacer
from benchmarks.load.recorder import Recorder, Slice
from benchmarks.load.saturation import GeneratorSecond
from benchmarks.load.schedule import arrivals
from benchmarks.load.timer import ExactTimer
from benchmarks.measurements import Timing
from benchmarks.options import LoadOptions
from benchmarks.player import Player
from clients.token_keeper import TokenKeeper

_HEARTBEAT_S = 0.05
_NS = 1_000_000_000


class LoadStatus(msgspec.Struct, kw_only=True):
    """One process's last second, warm-up included, and its totals."""

    answers: int
    p50_ms: float
    p99_ms: float
    in_flight: int
    failures: int
    """Since the warm-up."""
    connections: int
    generator: GeneratorSecond


class LoadResult(msgspec.Struct, kw_only=True):
    """What one process found in the measured time. Histograms are encoded, in µs."""

    arrivals: int
    answers: int
    errors: dict[str, int]
    retried: dict[str, int]
    kinds: dict[str, str]
    slices: list[Slice]
    late: str
    given_up: int
    seconds: list[GeneratorSecond]
    reconnects: int
    event_gaps: int
    figures: dict[str, float]
    """The scenario's own; see ``scenarios.scenario.Figure`` for how they are merged."""


PlayerT = TypeVar("PlayerT", bound=Player)


class LoadCrowd(Crowd, Generic[PlayerT]):
    """Players that a scenario makes, all at once before it begins or one by one."""

    def __init__(
        self, options: LoadOptions, new_player: Callable[[LoadCrowd[PlayerT], TokenKeeper, str], PlayerT]
    ) -> None:
        super().__init__(options)
        self.players: dict[int, PlayerT] = {}
        """Those that are here now, by seat."""
        self._new_player = new_player
        self._entered = 0
        self._gaps_of_those_gone = 0

    @property
    def sync_url(self) -> str:
        return self._addresses.sync

    @property
    def http_url(self) -> str:
        return self._addresses.http

    async def sign_up(self) -> TokenKeeper:
        """A new guest. Raises ``SignUpFailed`` when the server takes none; repeats itself while it cannot
        be reached."""
        return await self._sign_up()

    def enter(self, tokens: TokenKeeper) -> PlayerT:
        """A player of this account begins to connect."""
        number, self._entered = self._entered, self._entered + 1
        player = self._new_bot(number, tokens, f"{self._prefix}{number}.")
        self._bots[number] = player
        player.play()
        seat = asyncio.create_task(self._sit(number, player))
        self._seats.append(seat)
        seat.add_done_callback(self._seats.remove)
        return player

    async def _sit(self, number: int, player: Player) -> None:
        await player.run()
        del self._bots[number]
        del self.players[number]
        self._gaps_of_those_gone += player.tracker.gaps

    @property
    def event_gaps(self) -> int:
        return super().event_gaps + self._gaps_of_those_gone

    def _new_bot(self, number: int, tokens: TokenKeeper, id_prefix: str) -> PlayerT:
        player = self.players[number] = self._new_player(self, tokens, id_prefix)
        return player


class Load:
    """``async with``, then ``gather``, ``play``, ``stop``, ``result``: see ``troupe.AnyCrowd``."""

    def __init__(self, options: LoadOptions, crowd: Crowd) -> None:
        options.check()
        self.options = options
        self.recorder = Recorder(0, options.measured_s)
        self.in_flight = 0
        """Arrivals that were begun and are not over."""
        self.figures: dict[str, float] = {}
        self.is_ending = False
        """Nothing new is to be begun."""
        self._crowd = crowd
        self._over = 0
        self._told_over = 0
        self._live = Timing()
        """Latencies since the last look, warm-up included."""
        self._pacer: Pacer | None = None
        self._timer: ExactTimer | None = None
        self._heartbeat: asyncio.Task[None] | None = None
        self._beats = Timing()
        self._seconds: list[GeneratorSecond] = []
        self._looked_ns = 0
        self._looked_cpu_s = 0.0

    async def __aenter__(self) -> Load:
        await self._crowd.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._end_pace()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.gather(self._heartbeat, return_exceptions=True)
        await self._crowd.__aexit__(*exception)

    # What a scenario decides

    def arrive(self, intended_ns: int) -> None:
        """One arrival, which was due at ``intended_ns``. It ends in one :meth:`answered` or
        :meth:`failed`."""
        raise NotImplementedError

    def begin(self) -> None:
        """The load begins; in a closed loop, begin every connection's first command."""

    def second(self, now_ns: int) -> None:
        """About a second has passed."""

    @property
    def connections(self) -> int:
        """Open now."""
        return self._crowd.players_ready

    # What a scenario calls

    def began(self, intended_ns: int) -> None:
        """Something is asked of the server. ``arrive`` has called it for itself."""
        self.in_flight += 1
        self.recorder.arrived(intended_ns)

    def answered(self, kind: str, intended_ns: int) -> None:
        now_ns = monotonic_ns()
        self.in_flight -= 1
        self._over += 1
        self._live.record((now_ns - intended_ns) // 1000)
        self.recorder.answered(kind, intended_ns, now_ns)

    def failed(self, code: str, intended_ns: int) -> None:
        self.in_flight -= 1
        self._over += 1
        self.recorder.failed(code, intended_ns)

    def heard(self, kind: str, counts_us: dict[int, int], is_apart: bool = False) -> None:
        """See ``Recorder.heard``."""
        if not is_apart:
            self._over += sum(counts_us.values())
            for time_us, count in counts_us.items():
                self._live.record(time_us, count)
        self.recorder.heard(kind, counts_us, monotonic_ns(), is_apart)

    # A troupe's orders

    async def gather(self) -> None:
        """Raises ``SignUpFailed``."""
        await self._crowd.gather()

    def play(self) -> None:
        options = self.options
        now_ns = monotonic_ns()
        self._looked_ns, self._looked_cpu_s = now_ns, process_time()
        self.recorder = Recorder(now_ns + int(options.warm_up_s * _NS), options.measured_s)
        self._heartbeat = asyncio.create_task(self._beat())
        self._crowd.play()
        self.begin()
        if options.stages:
            times = arrivals(
                options.stages,
                poisson=options.poisson,
                seed=options.seed,
                process=options.process,
                processes=options.processes,
            )
            self._pacer = Pacer(times, now_ns)
            self._timer = ExactTimer(self._ring)
            self._ring()

    def status(self) -> LoadStatus:
        now_ns = monotonic_ns()
        self.second(now_ns)
        self._crowd.roll()
        self.recorder.fold()
        over, self._told_over = self._over - self._told_over, self._over
        live = self._live.fold()
        second = self._look(now_ns)
        return LoadStatus(
            answers=over,
            p50_ms=live.p50_ms,
            p99_ms=live.p99_ms,
            in_flight=self.in_flight,
            failures=sum(self.recorder.errors.values()),
            connections=self.connections,
            generator=second,
        )

    async def stop(self) -> None:
        self.is_ending = True
        self._end_pace()
        self.second(monotonic_ns())
        await self._crowd.stop()

    def result(self) -> LoadResult:
        found, recorder = self._crowd.measurements, self.recorder
        return LoadResult(
            arrivals=recorder.arrivals,
            answers=recorder.answers,
            errors=dict(recorder.errors + found.errors),
            retried=dict(found.retried),
            kinds={kind: timing.encoded() for kind, timing in recorder.kinds.items()},
            slices=recorder.slices(),
            late=(self._pacer.late if self._pacer is not None else self._beats).encoded(),
            given_up=self._pacer.given_up if self._pacer is not None else 0,
            seconds=self._seconds,
            reconnects=found.reconnects,
            event_gaps=self._crowd.event_gaps,
            figures=self.figures,
        )

    # The pace

    def _ring(self) -> None:
        pacer, timer = self._pacer, self._timer
        if pacer is None or timer is None:
            return
        for intended_ns in pacer.due(monotonic_ns()):
            self.began(intended_ns)
            if self.in_flight > self.options.in_flight_max:
                self.failed("dropped", intended_ns)
            else:
                self.arrive(intended_ns)
        next_ns = pacer.next_ns
        if next_ns is not None:
            timer.set(next_ns)

    def _end_pace(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    async def _beat(self) -> None:
        """How late the event loop is, where no arrivals tell."""
        while True:
            asked_ns = monotonic_ns()
            await asyncio.sleep(_HEARTBEAT_S)
            late_ns = monotonic_ns() - asked_ns - int(_HEARTBEAT_S * _NS)
            self._beats.record(max(0, late_ns) // 1000)

    def _look(self, now_ns: int) -> GeneratorSecond:
        cpu_s = process_time()
        passed_s = max((now_ns - self._looked_ns) / _NS, 1e-9)
        beats = self._beats.fold()
        late = self._pacer.fold() if self._pacer is not None else beats
        second = GeneratorSecond(
            round((cpu_s - self._looked_cpu_s) / passed_s, 3), round(late.p50_ms, 3), round(late.p99_ms, 3)
        )
        if self.recorder.counts(self._looked_ns):
            self._seconds.append(second)
        self._looked_ns, self._looked_cpu_s = now_ns, cpu_s
        return second
