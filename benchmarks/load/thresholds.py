"""Thresholds in the syntax of k6: ``p(99)<50``, ``error_rate<0.001``, ``lost==0``, ``spin:p(95)<20``.

Pure. Times are in milliseconds, rates per second. A threshold names a figure of the result, and for
latencies optionally the kind of operation, before a colon.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

import msgspec

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_THRESHOLD = re.compile(
    r"(?:(?P<kind>[a-z_]+):)?(?P<figure>p\((?P<percent>\d+(?:\.\d+)?)\)|[a-z_]+[a-z0-9_]*)"
    r"(?P<compare><=|>=|==|!=|<|>)(?P<bound>-?\d+(?:\.\d+)?)"
)
_OF_LATENCY = frozenset({"avg", "min", "med", "max"})

Percentile = Callable[[float], float]


class Threshold(msgspec.Struct, frozen=True):
    """``percent`` is None for a figure with a name."""

    text: str
    kind: str | None
    figure: str
    percent: float | None
    compare: str
    bound: float

    def holds(self, value: float) -> bool:
        return _COMPARE[self.compare](value, self.bound)


class Verdict(msgspec.Struct, frozen=True):
    """``value`` is None when the run has no such figure; then the threshold is crossed."""

    threshold: str
    value: float | None
    ok: bool


def parse_threshold(text: str) -> Threshold:
    """Raises ``ValueError`` with what would be a threshold."""
    match = _THRESHOLD.fullmatch("".join(text.split()))
    percent = float(match["percent"]) if match and match["percent"] else None
    if match is None or (percent is not None and percent > 100):
        raise ValueError(
            f"{text!r} is not a threshold: try 'p(99)<50' (ms), 'max<=500', 'rate>1000' (per second), "
            "'error_rate<0.001' or 'lost==0'"
        )
    if match["kind"] and percent is None and match["figure"] not in _OF_LATENCY:
        raise ValueError(f"{text!r}: only latencies are of a kind; leave out {match['kind'] + ':'!r}")
    return Threshold(text, match["kind"], match["figure"], percent, match["compare"], float(match["bound"]))


def judge(
    threshold: Threshold,
    figures: Mapping[str, float],
    percentiles: Mapping[str | None, Percentile],
    means: Mapping[str | None, float],
) -> Verdict:
    """``figures`` by name; ``percentiles`` and ``means`` in ms by kind, None for all kinds together."""
    value: float | None = None
    percentile = percentiles.get(threshold.kind)
    if percentile is None:
        value = figures.get(threshold.figure) if threshold.kind is None else None
    elif threshold.percent is not None:
        value = percentile(threshold.percent)
    elif threshold.figure == "avg":
        value = means[threshold.kind]
    elif threshold.figure in _OF_LATENCY:
        value = percentile({"min": 0.0, "med": 50.0, "max": 100.0}[threshold.figure])
    else:
        value = figures.get(threshold.figure)
    return Verdict(threshold.text, value, value is not None and threshold.holds(value))
