"""The measures that are no load curve, small, against casinos that they start themselves."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from benchmarks.measures.recovery import Recovery

pytestmark = pytest.mark.system


def test_everybody_answers_after_the_death_of_a_host() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measures.recovery", "--sessions=50", "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = msgspec.json.decode(done.stdout, type=Recovery)
    assert found.sessions == 50
    assert 0 < found.host_sessions < 50
    assert 0 < found.first_answer_p50_s <= found.first_answer_p99_s <= found.all_answered_s
    assert "kill -9" in done.stderr
