"""What the server says of its commits, where it exports metrics for Prometheus.

Owns reading them before and after, and the difference. A server without such metrics is no fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_S = 2.0
SECONDS = "commit_seconds"
TURNS = "commit_turns"

Sample = tuple[str, str, str, str]
"""Endpoint, process, metric without its prefix, bucket."""


class Bucket(msgspec.Struct, frozen=True):
    """``count`` values above the bound before and up to ``to``, which is None for the last."""

    to: float | None
    count: int


class Commits(msgspec.Struct, frozen=True):
    """Group commits of all hosts in about the measured time."""

    commits: int
    turns_mean: float
    ms_mean: float
    turns: list[Bucket]
    """By how many turns a commit had."""
    ms: list[Bucket]
    """By how long the database took."""


async def read(endpoints: Iterable[str]) -> dict[Sample, float]:
    """Every sample of the commits' histograms; of endpoints that do not answer, none."""
    found: dict[Sample, float] = {}
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
        for endpoint in endpoints:
            try:
                answer = await client.get(endpoint)
                answer.raise_for_status()
                found |= parse(endpoint, answer.text)
            except (httpx.HTTPError, ValueError):
                continue
    return found


def parse(endpoint: str, text: str) -> dict[Sample, float]:
    """Raises ``ValueError`` when it is not Prometheus' text format."""
    found: dict[Sample, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for metric in (SECONDS, TURNS):
                for part in ("bucket", "sum", "count"):
                    if sample.name.endswith(f"{metric}_{part}"):
                        key = (
                            endpoint,
                            sample.labels.get("process", ""),
                            f"{metric}_{part}",
                            sample.labels.get("le", ""),
                        )
                        found[key] = sample.value
    return found


def between(before: Mapping[Sample, float], after: Mapping[Sample, float]) -> Commits | None:
    """What was added; None when there was no commit, or nothing is told of any. A process that began
    anew counts from 0."""
    totals: defaultdict[tuple[str, str], float] = defaultdict(float)
    for key, value in after.items():
        earlier = before.get(key, 0.0)
        totals[key[2], key[3]] += value - earlier if value >= earlier else value
    commits = round(totals[f"{TURNS}_count", ""])
    if commits <= 0:
        return None
    return Commits(
        commits=commits,
        turns_mean=totals[f"{TURNS}_sum", ""] / commits,
        ms_mean=totals[f"{SECONDS}_sum", ""] * 1000 / commits,
        turns=_buckets(totals, f"{TURNS}_bucket", 1.0),
        ms=_buckets(totals, f"{SECONDS}_bucket", 1000.0),
    )


def _buckets(totals: Mapping[tuple[str, str], float], metric: str, scale: float) -> list[Bucket]:
    bounds = sorted((float(le), count) for (name, le), count in totals.items() if name == metric and le)
    buckets, below = [], 0.0
    for bound, count in bounds:
        to = None if bound == float("inf") else bound * scale
        buckets.append(Bucket(to, round(count - below)))
        below = count
    return buckets
