"""The same seed is the same run, to the last byte of its timeline, in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.scenario import scenario
from tests.simulation.sweep import run

ROOT = Path(__file__).parents[2]


def _timeline(seed: int, hash_seed: str) -> bytes:
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--timeline"]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).stdout


@pytest.mark.parametrize("seed", [0, 12, 29])
def test_hash_randomisation_does_not_matter(seed: int) -> None:
    first, second = _timeline(seed, "1"), _timeline(seed, "4242")
    assert len(first) > 10_000
    assert first == second


@pytest.mark.parametrize("seed", [3, 12])
def test_two_runs_in_one_process_are_the_same(seed: int) -> None:
    first, second = run(scenario(seed), True), run(scenario(seed), True)
    assert first.timeline == second.timeline
    assert first == second


def test_watching_changes_nothing() -> None:
    silent, watched = run(scenario(12)), run(scenario(12), True)
    assert silent._replace(timeline=[]) == watched._replace(timeline=[])
