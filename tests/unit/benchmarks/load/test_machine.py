from pathlib import Path

import pytest

from benchmarks.load.machine import command_line, fingerprint, flush_times_ms


def test_a_fingerprint_says_what_it_is_of(tmp_path: Path) -> None:
    machine = fingerprint(tmp_path, "here", ["/bin/does-not-exist"])
    assert machine.cores >= 1
    assert machine.memory_bytes > 2**20
    assert machine.kernel
    assert {"Python", "ray", "picows"} <= machine.versions.keys()
    assert 0 < machine.flush_p50_ms <= machine.flush_p99_ms
    assert machine.flush_where == "here"
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_probed_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        flush_times_ms(tmp_path / "nowhere")


def test_a_command_can_be_typed_again() -> None:
    typed = ["/x/bin/casino", "bench", "spin", "--threshold", "p(99)<50"]
    assert command_line(typed) == "casino bench spin --threshold 'p(99)<50'"
