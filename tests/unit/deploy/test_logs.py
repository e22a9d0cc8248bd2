"""Lines that a machine can read, and never more of a kind than somebody might."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from deploy.logs import LINES_PER_S, Throttle, set_up_logs
from gateway.request_ids import begin_request, request_id
from runtime.identity import ActorId, ShardId


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_says_where_it_comes_from_and_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    shards = {ActorId("session/u_ann"): ShardId("session#7")}
    set_up_logs("session-host-0", "INFO", shards.get)
    request_id.set(None)
    log = logging.getLogger("test")
    log.info("turn committed", extra={"actor": "session/u_ann", "command_id": "c1"})
    log.debug("not at this level")
    [line] = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "event": "turn committed",
        "level": "info",
        "logger": "test",
        "process": "session-host-0",
        "actor": "session/u_ann",
        "shard": "session#7",
        "command_id": "c1",
    }


def test_whatever_is_logged_within_a_request_has_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("gateway-0", "INFO")
    begin_request([(b"x-request-id", b"mine-1")])
    logging.getLogger("test").warning("something")
    assert [line["request_id"] for line in lines(capsys)] == ["mine-1"]


def test_a_flood_leaves_a_hundred_lines_a_second_and_its_size() -> None:
    now = [10.0]
    throttle = Throttle(lambda: now[0])

    def passes(message: str) -> logging.LogRecord | None:
        record = logging.LogRecord("test", logging.WARNING, "", 0, message, None, None)
        return record if throttle.filter(record) else None

    assert sum(passes("flood") is not None for _ in range(LINES_PER_S + 50)) == LINES_PER_S
    assert passes("another kind") is not None
    now[0] = 11.5
    after = passes("flood")
    assert after is not None
    assert after.left_out == 50  # type: ignore[attr-defined]
    assert not hasattr(passes("flood"), "left_out")


def test_kinds_are_forgotten_before_they_are_too_many() -> None:
    throttle = Throttle(lambda: 0.0)
    for number in range(5000):
        throttle.filter(logging.LogRecord("test", logging.INFO, "", 0, f"kind {number}", None, None))
    assert len(throttle._seconds) <= 1000
