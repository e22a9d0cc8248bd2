"""From the figures of bot processes to one report. Pure: merges and formats, measures nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from hdrh.histogram import HdrHistogram

from benchmarks.measurements import Stall, common_stalls, new_histogram

_LONGEST_STALLS = 10


class CrowdResult(msgspec.Struct, kw_only=True):
    """What one process of bots found. Crosses the process boundary as JSON."""

    began_ns: int
    stopped_ns: int
    commands: int
    """Acknowledged until the end of the measured time."""
    acknowledged: int
    """Those, and the ones awaited after it."""
    events: int
    """Received until the end of the measured time."""
    histogram: str
    errors: dict[str, int]
    refused: dict[str, int]
    retried: dict[str, int]
    unsupported: dict[str, int]
    close_codes: dict[str, int]
    reconnects: int
    resumes_asked_for: int
    connect_failures: int
    resent: int
    answers_unmatched: int
    unanswered: int
    players_broke: int
    event_gaps: int
    event_duplicates: int
    event_regressions: int
    snapshots: int
    malformed_frames: int
    stalls: list[Stall]
    bot_stalls_s: list[float]


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from the first send of a command to its answer, outages included."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class LongStall(msgspec.Struct, frozen=True):
    """No bot was acknowledged for ``duration_s``, beginning ``at_s`` after the start."""

    at_s: float
    duration_s: float


class BotReport(msgspec.Struct, kw_only=True):
    """The outcome of a run. ``ok`` says whether it may pass as a test."""

    ok: bool
    url: str
    players: int
    processes: int
    depth: int
    duration_s: float
    commands: int
    commands_per_s: float
    acknowledged: int
    events: int
    events_per_s: float
    latency: Latency
    errors: dict[str, int]
    refused: dict[str, int]
    retried: dict[str, int]
    unsupported: list[str]
    unanswered: int
    reconnects: int
    resumes_asked_for: int
    connect_failures: int
    close_codes: dict[str, int]
    resent: int
    answers_unmatched: int
    event_gaps: int
    event_duplicates: int
    event_regressions: int
    snapshots: int
    malformed_frames: int
    players_broke: int
    recovery_s: float
    """The longest time in which no bot at all was acknowledged."""
    longest_stalls: list[LongStall]
    bot_stall_p50_s: float
    """Each bot's longest time without an acknowledgement: median, 99th percentile, maximum."""
    bot_stall_p99_s: float
    bot_stall_max_s: float

    @property
    def failures(self) -> list[str]:
        """Why ``ok`` is False, in words."""
        reasons = [f"{count} × error {code}" for code, count in sorted(self.errors.items())]
        for count, what in (
            (self.event_gaps, "gaps in a player's events"),
            (self.event_regressions, "snapshots older than an event already sent"),
            (self.malformed_frames, "malformed frames"),
            (self.unanswered, "commands never answered"),
        ):
            if count:
                reasons.append(f"{count} × {what}")
        if self.acknowledged == 0:
            reasons.append("no command was acknowledged")
        return reasons


def merge(url: str, players: int, depth: int, results: Sequence[CrowdResult]) -> BotReport:
    """One report from the results of every process."""
    histogram = new_histogram()
    for result in results:
        histogram.decode_and_add(result.histogram)
    began_ns = min(result.began_ns for result in results)
    duration_s = max((max(result.stopped_ns for result in results) - began_ns) / 1e9, 1e-9)
    stalls = common_stalls([[Stall(*stall) for stall in result.stalls] for result in results])
    longest = sorted(
        (
            LongStall(
                round((stall.begin_ns - began_ns) / 1e9, 3), round((stall.end_ns - stall.begin_ns) / 1e9, 3)
            )
            for stall in stalls
        ),
        key=lambda stall: -stall.duration_s,
    )
    bot_stalls = sorted(stall for result in results for stall in result.bot_stalls_s)
    commands = sum(result.commands for result in results)
    events = sum(result.events for result in results)

    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    report = BotReport(
        ok=False,
        url=url,
        players=players,
        processes=len(results),
        depth=depth,
        duration_s=round(duration_s, 3),
        commands=commands,
        commands_per_s=round(commands / duration_s, 1),
        acknowledged=total("acknowledged"),
        events=events,
        events_per_s=round(events / duration_s, 1),
        latency=_latency(histogram),
        errors=sum_counts([result.errors for result in results]),
        refused=sum_counts([result.refused for result in results]),
        retried=sum_counts([result.retried for result in results]),
        unsupported=sorted(sum_counts([result.unsupported for result in results])),
        unanswered=total("unanswered"),
        reconnects=total("reconnects"),
        resumes_asked_for=total("resumes_asked_for"),
        connect_failures=total("connect_failures"),
        close_codes=sum_counts([result.close_codes for result in results]),
        resent=total("resent"),
        answers_unmatched=total("answers_unmatched"),
        event_gaps=total("event_gaps"),
        event_duplicates=total("event_duplicates"),
        event_regressions=total("event_regressions"),
        snapshots=total("snapshots"),
        malformed_frames=total("malformed_frames"),
        players_broke=total("players_broke"),
        recovery_s=longest[0].duration_s if longest else 0.0,
        longest_stalls=longest[:_LONGEST_STALLS],
        bot_stall_p50_s=_at(bot_stalls, 0.50),
        bot_stall_p99_s=_at(bot_stalls, 0.99),
        bot_stall_max_s=_at(bot_stalls, 1.0),
    )
    report.ok = not report.failures
    return report


def sum_counts(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    """Of all of them, by key."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _latency(histogram: HdrHistogram) -> Latency:
    def at(percentile: float) -> float:
        if histogram.get_total_count() == 0:
            return 0.0
        return float(round(histogram.get_value_at_percentile(percentile) / 1000, 3))

    return Latency(at(50), at(90), at(99), at(99.9), at(100))


def _at(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)
