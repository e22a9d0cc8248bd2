"""The rows, one after the other, whatever becomes of each.

Owns that a row that fails does not take the others along, that somebody who has had enough keeps what was
measured, and which servers run meanwhile.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import msgspec

from benchmarks.broadcast import NoServer
from benchmarks.compare.density import NoGrowth
from benchmarks.compare.fan_out import NotHeard
from benchmarks.compare.result import Comparison, Found, Row, is_ok, judged
from benchmarks.compare.row import Bench, EndedEarly, Sizes, Spec
from benchmarks.compare.servers import Servers
from benchmarks.compare.spins import NothingAnswered
from benchmarks.crowd import SignUpFailed
from benchmarks.descriptors import TooFewDescriptors
from benchmarks.load.machine import fingerprint
from benchmarks.load.target import OWN_SETTINGS, TargetError
from benchmarks.measures.server import MeasureFailed
from benchmarks.troupe import BotProcessFailed

_EXPECTED = (
    TargetError,
    SignUpFailed,
    BotProcessFailed,
    TooFewDescriptors,
    NoServer,
    NotHeard,
    NothingAnswered,
    NoGrowth,
    MeasureFailed,
    EndedEarly,
)
"""Whose message is for a reader, without the class."""


class Progress(NamedTuple):
    """How the comparison is going."""

    row: Spec
    number: int
    rows: int
    said: str
    left_s: float
    """Of the whole, about."""


async def compare(
    specs: Sequence[Spec],
    sizes: Sizes,
    servers: Servers,
    *,
    command: str,
    quick: bool,
    summaries: Callable[[set[str]], dict[str, str]],
    show: Callable[[Progress], None] = lambda progress: None,
    done: Callable[[Row], None] = lambda row: None,
    interrupt: asyncio.Event,
) -> Comparison:
    """``done`` is told each row when it is over, ``interrupt`` ends the comparison early, with its result.

    Raises:
        OSError: the disk cannot be probed.
    """
    folder = Path(tempfile.gettempdir())
    machine = await asyncio.to_thread(
        fingerprint, folder, "the directory of temporary files, where the servers keep their data"
    )
    began, began_at = monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    clock = _Clock(specs, sizes, show)
    bench = Bench(sizes, servers, clock.say, interrupt, folder)
    rows: list[Row] = []
    versions = dict(machine.versions)
    try:
        for spec in specs:
            clock.begin(spec)
            row, found = await _row(spec, bench)
            versions |= found.versions
            rows.append(row)
            done(row)
    finally:
        await servers.keep(())
    used = {name for spec in specs for name in (*spec.servers, *spec.compared)}
    return Comparison(
        ok=is_ok(rows),
        command=command,
        began_at=began_at,
        seconds=round(monotonic() - began, 1),
        quick=quick,
        interrupted=interrupt.is_set(),
        rows=rows,
        servers=summaries(used),
        settings=dict(OWN_SETTINGS),
        machine=msgspec.structs.replace(machine, versions=versions),
    )


async def _row(spec: Spec, bench: Bench) -> tuple[Row, Found]:
    began, failed, found = monotonic(), None, Found({})
    try:
        if bench.interrupt.is_set():
            raise EndedEarly("ended before it was its turn")
        # Whatever else runs takes memory and time from what is measured.
        await bench.servers.keep(spec.servers)
        found = await spec.measure(bench)
    except _EXPECTED as error:
        failed = str(error)
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
    if failed is not None:
        # A server that was there when it went wrong may be why.
        await bench.servers.keep(())
    row = Row(
        name=spec.name,
        title=spec.title,
        measured=spec.measured,
        against=spec.against,
        servers=list(spec.compared),
        checks=[judged(aim, found.values.get(aim.name)) for aim in spec.aims],
        figures=found.figures,
        pairs=found.pairs,
        curves=found.curves,
        bars=found.bars,
        notes=found.notes,
        failed=failed,
        seconds=round(monotonic() - began, 1),
    )
    return row, found


class _Clock:
    """What is left, by what each row should take."""

    def __init__(self, specs: Sequence[Spec], sizes: Sizes, show: Callable[[Progress], None]) -> None:
        self._specs = list(specs)
        self._sizes = sizes
        self._show = show
        self._number = 0
        self._began = monotonic()

    def begin(self, spec: Spec) -> None:
        self._number = self._specs.index(spec)
        self._began = monotonic()
        self.say("beginning")

    def say(self, text: str) -> None:
        rows = self._specs
        spent_s = monotonic() - self._began
        # A row that takes longer than it should has an unknown rest, which is not nothing.
        own_s = max(5.0, rows[self._number].seconds(self._sizes) - spent_s)
        rest_s = sum(spec.seconds(self._sizes) for spec in rows[self._number + 1 :])
        self._show(Progress(rows[self._number], self._number + 1, len(rows), text, own_s + rest_s))
