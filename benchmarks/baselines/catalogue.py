"""Every baseline, by name."""

from __future__ import annotations

from benchmarks.baselines.baseline import Baseline
from benchmarks.baselines.ceiling import BASELINE as CEILING
from benchmarks.baselines.dedicated import BASELINE as DEDICATED
from benchmarks.baselines.echo import BASELINE as ECHO
from benchmarks.baselines.rowlock import BASELINE as ROWLOCK

BASELINES: dict[str, Baseline] = {baseline.name: baseline for baseline in (ROWLOCK, DEDICATED, ECHO, CEILING)}
