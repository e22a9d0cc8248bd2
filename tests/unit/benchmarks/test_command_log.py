from pathlib import Path

import msgspec
import pytest

from benchmarks.command_log import Acknowledged, CommandLog, PlayerLeft, RunStarted, log_paths, read_log


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with CommandLog(path, "R-") as log:
        log.acknowledged("u", "R-1", "spin_slots", 2, msgspec.Raw(msgspec.msgpack.encode({"nonce": 3})))
        log.left("u", ["R-2"], 7, None)
    assert list(read_log([path])) == [
        RunStarted("R-"),
        Acknowledged("u", "R-1", "spin_slots", 2, {"nonce": 3}),
        PlayerLeft("u", ["R-2"], 7, None),
    ]


def test_the_first_answer_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with CommandLog(path, "R-") as log:
        assert not list(read_log([path]))
        log.acknowledged("u", "R-1", "spin_slots", 1, msgspec.Raw(msgspec.msgpack.encode({})))
        assert len(list(read_log([path]))) == 2


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"line":"run","prefix":"R-"}\n{"line":"ack"')
    with pytest.raises(ValueError, match=r"log:2"):
        list(read_log([path]))


def test_one_file_per_process() -> None:
    assert log_paths(Path("d/log"), 1) == [Path("d/log")]
    assert log_paths(Path("d/log"), 2) == [Path("d/log.0"), Path("d/log.1")]
