"""From the figures of Crash bots in several processes to one report. Pure: merges, measures nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.measurements import Quantiles, quantiles_of
from benchmarks.report import sum_counts


class CrashStatus(msgspec.Struct, kw_only=True):
    """One process's second, and its totals."""

    round: int
    """The last that ended."""
    rounds: int
    deliveries: int
    commands: int
    bets: int
    cash_outs: int
    lag: Quantiles
    place: Quantiles
    errors: int
    violations: int
    reconnects: int
    is_over: bool


class CrashResult(msgspec.Struct, kw_only=True):
    """What one process found. Crosses the process boundary as JSON."""

    began_ns: int
    stopped_ns: int
    rounds: list[int]
    """Played, and ended."""
    rounds_verified: int
    """Ends of rounds, each counted for every bot that verified it."""
    bets: int
    cash_outs: int
    settled: int
    bets_open: int
    deliveries: int
    """Like the other figures of the broadcast: until the end of the measured time."""
    ticks: int
    tick_deliveries: int
    running_ns: int
    tick_gap_ns_max: int
    lag: str
    place: str
    cash_out: str
    acknowledged: int
    errors: dict[str, int]
    refused: dict[str, int]
    retried: dict[str, int]
    violations: dict[str, int]
    examples: list[str]
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
    malformed_frames: int


class CrashReport(msgspec.Struct, kw_only=True):
    """The outcome of a run. ``ok`` says whether it may pass as a test. Times in ms end in ``_ms``."""

    ok: bool
    game: str = "crash"
    url: str
    table: str
    players: int
    processes: int
    duration_s: float
    rounds: int
    rounds_verified: int
    bets: int
    cash_outs: int
    settled: int
    bets_open: int
    """Still open because their rounds were when the run ended."""
    deliveries: int
    deliveries_per_s: float
    ticks_per_s: float
    """Different ticks, while rounds ran."""
    tick_deliveries_per_s: float
    tick_lag: Quantiles
    """From a tick's timestamp to its arrival, on this machine's clock."""
    tick_gap_max_s: float
    """The longest silence within a running round."""
    place: Quantiles
    """From the first send of a bet to its answer."""
    cash_out: Quantiles
    acknowledged: int
    errors: dict[str, int]
    refused: dict[str, int]
    retried: dict[str, int]
    violations: dict[str, int]
    examples: list[str]
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
    malformed_frames: int
    players_broke: int

    @property
    def failures(self) -> list[str]:
        """Why ``ok`` is False, in words."""
        reasons = [f"{count} × error {code}" for code, count in self.errors.items()]
        reasons += [f"{count} × {kind}" for kind, count in self.violations.items()]
        for count, what in (
            (self.event_gaps, "gaps in a player's events"),
            (self.event_regressions, "snapshots older than an event already sent"),
            (self.malformed_frames, "malformed frames"),
            (self.unanswered, "commands never answered"),
        ):
            if count:
                reasons.append(f"{count} × {what}")
        if self.bets == 0:
            reasons.append("no bet was taken")
        return reasons


def merge_crash(url: str, table: str, players: int, results: Sequence[CrashResult]) -> CrashReport:
    """One report from the results of every process."""
    began_ns = min(result.began_ns for result in results)
    duration_s = max((max(result.stopped_ns for result in results) - began_ns) / 1e9, 1e-9)

    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    report = CrashReport(
        ok=False,
        url=url,
        table=table,
        players=players,
        processes=len(results),
        duration_s=round(duration_s, 3),
        rounds=len(set().union(*(result.rounds for result in results))),
        deliveries_per_s=round(total("deliveries") / duration_s, 1),
        ticks_per_s=ticks_per_s(results),
        tick_deliveries_per_s=round(total("tick_deliveries") / duration_s, 1),
        tick_lag=quantiles_of(result.lag for result in results),
        tick_gap_max_s=round(max(result.tick_gap_ns_max for result in results) / 1e9, 3),
        place=quantiles_of(result.place for result in results),
        cash_out=quantiles_of(result.cash_out for result in results),
        errors=sum_counts([result.errors for result in results]),
        refused=sum_counts([result.refused for result in results]),
        retried=sum_counts([result.retried for result in results]),
        violations=sum_counts([result.violations for result in results]),
        examples=[example for result in results for example in result.examples],
        close_codes=sum_counts([result.close_codes for result in results]),
        rounds_verified=total("rounds_verified"),
        bets=total("bets"),
        cash_outs=total("cash_outs"),
        settled=total("settled"),
        bets_open=total("bets_open"),
        deliveries=total("deliveries"),
        acknowledged=total("acknowledged"),
        unanswered=total("unanswered"),
        reconnects=total("reconnects"),
        resumes_asked_for=total("resumes_asked_for"),
        connect_failures=total("connect_failures"),
        resent=total("resent"),
        answers_unmatched=total("answers_unmatched"),
        event_gaps=total("event_gaps"),
        event_duplicates=total("event_duplicates"),
        event_regressions=total("event_regressions"),
        malformed_frames=total("malformed_frames"),
        players_broke=total("players_broke"),
    )
    report.ok = not report.failures
    return report


def ticks_per_s(results: Sequence[CrashResult]) -> float:
    """The table's own rate, as the process saw it that saw the most of it."""
    result = max(results, key=lambda result: result.running_ns)
    return round(result.ticks * 1e9 / result.running_ns, 2) if result.running_ns else 0.0
