"""What a comparison found: ``compare.json``, whose shape is versioned, and its verdicts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from benchmarks.compare.pairing import Pair, Spread
from benchmarks.load.machine import Machine

VERSION = 1
FILE = "compare.json"

Verdict = Literal["ok", "missed", "not measured"]


class Aim(NamedTuple):
    """A target of the project. ``unit`` follows the number: ``×``, ``KiB``, ``s``."""

    name: str
    """What is to be so, for a reader who knows nothing: ``spins per second``."""
    compare: Literal["≥", "≤"]
    bound: float
    unit: str

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.compare == "≥" else value <= self.bound


class Check(msgspec.Struct, frozen=True):
    """A target and what came out. ``off_by`` is how far a missed target was missed, as a share of it:
    0.1 is a tenth too little, or too much."""

    name: str
    compare: Literal["≥", "≤"]
    target: float
    unit: str
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    """Over the pairs or rounds that the value is the median of; None when it was measured once."""
    off_by: float | None = None


class Figure(msgspec.Struct, frozen=True):
    """A number beside the targets, which explains them."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None


class Point(msgspec.Struct, frozen=True):
    """Of a cost that depends on a size."""

    size: int
    series: str
    value: float


class Curve(msgspec.Struct, frozen=True):
    """A plot that belongs to a row alone."""

    title: str
    size: str
    """What a point's size is of."""
    unit: str
    points: list[Point]


class Bars(msgspec.Struct, frozen=True):
    """A plot of some of a row's figures, which have one unit."""

    title: str
    figures: list[Figure]


class Found(msgspec.Struct):
    """What measuring a row gives. ``values`` are by an aim's name; one that is missing is *not measured*."""

    values: dict[str, Spread]
    figures: list[Figure] = []
    pairs: list[Pair] = []
    curves: list[Curve] = []
    bars: list[Bars] = []
    notes: list[str] = []
    versions: dict[str, str] = {}


class Row(msgspec.Struct, kw_only=True, frozen=True):
    """One comparison. ``measured`` says what and how, ``against`` what it is compared with."""

    name: str
    title: str
    measured: str
    against: str
    servers: list[str]
    """The two that were compared by turns; empty when a row is of the casino alone."""
    checks: list[Check]
    figures: list[Figure] = []
    pairs: list[Pair] = []
    curves: list[Curve] = []
    bars: list[Bars] = []
    notes: list[str] = []
    """What a reader must not overlook."""
    failed: str | None = None
    """Why it could not be measured."""
    seconds: float = 0.0

    @property
    def is_measured(self) -> bool:
        return any(check.verdict != "not measured" for check in self.checks)


class Comparison(msgspec.Struct, kw_only=True):
    """The whole outcome."""

    version: int = VERSION
    ok: bool
    """Every target of the rows that were asked for was measured and met."""
    command: str
    began_at: str
    """UTC, ISO 8601."""
    seconds: float
    quick: bool
    """Sizes were smaller, and times shorter, than the targets mean."""
    interrupted: bool
    rows: list[Row]
    servers: dict[str, str]
    """What each one is, by its name."""
    settings: dict[str, str]
    """Of the casino that was started for this, where they are not as by default."""
    machine: Machine

    @property
    def is_empty(self) -> bool:
        """Whether nothing could be measured."""
        return not any(row.is_measured for row in self.rows)


def judged(aim: Aim, value: Spread | None) -> Check:
    """``value`` is None when it was not measured."""
    if value is None:
        return Check(aim.name, aim.compare, aim.bound, aim.unit, "not measured")
    met = aim.holds(value.value)
    off_by = None if met else round(abs(value.value - aim.bound) / aim.bound, 4)
    return Check(
        aim.name,
        aim.compare,
        aim.bound,
        aim.unit,
        "ok" if met else "missed",
        value.value,
        value.low,
        value.high,
        off_by,
    )


def is_ok(rows: Iterable[Row]) -> bool:
    """Whether every target was met; of no targets, none was."""
    verdicts = [check.verdict for row in rows for check in row.checks]
    return bool(verdicts) and all(verdict == "ok" for verdict in verdicts)


def read(data: bytes) -> Comparison:
    """From ``compare.json``.

    Raises:
        ValueError: it is no such file, or of another version.
    """
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != VERSION:
            raise ValueError(f"version {version} of a comparison, and this reads version {VERSION}")
        return msgspec.json.decode(data, type=Comparison)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a comparison: {error}") from None


def written(comparison: Comparison) -> bytes:
    """As ``compare.json`` holds it."""
    return msgspec.json.format(msgspec.json.encode(comparison)) + b"\n"


class _Versioned(msgspec.Struct):
    version: int
