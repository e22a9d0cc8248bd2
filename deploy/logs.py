"""Structured logs: one JSON object per line, on standard error, where Ray picks them up.

Every line says its ``process``; one about an actor its ``actor`` and ``shard``; one about a command its
``command_id``, which is the id that the client chose; one from within an HTTP request its ``request_id``.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

import structlog

from gateway.request_ids import request_id
from runtime.identity import ActorId, ShardId

LINES_PER_S = 100
"""Of one kind: whatever happens a thousand times in a second is told by the metrics."""
_KINDS_MAX = 1000


class Throttle(logging.Filter):
    """Lets ``LINES_PER_S`` of each kind pass. The first line after that says how many were left out."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._seconds: dict[tuple[str, int, str], list[int]] = {}
        """By logger, level and message: the second, lines in it, and lines left out."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.name, record.levelno, str(record.msg))
        second = int(self._monotonic())
        passed = self._seconds.get(kind)
        if passed is None:
            if len(self._seconds) >= _KINDS_MAX:
                self._seconds.clear()
            passed = self._seconds[kind] = [second, 0, 0]
        if passed[0] != second:
            if passed[2]:
                record.left_out = passed[2]
            passed[:] = second, 0, 0
        passed[1] += 1
        if passed[1] <= LINES_PER_S:
            return True
        passed[2] += 1
        return False


def set_up_logs(
    process: str, level: str, shard_of: Callable[[ActorId], ShardId | None] | None = None
) -> None:
    """Send the standard library's and structlog's records out as JSON, with the process's name."""

    def complete(
        _logger: object, _name: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["process"] = process
        event.pop("_ray_timestamp_ns", None)
        actor = event.get("actor")
        if shard_of is not None and isinstance(actor, str) and (shard := shard_of(ActorId(actor))):
            event["shard"] = shard
        name = request_id.get()
        if name is not None:
            event["request_id"] = name
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        complete,
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Throttle())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    # It reports every attempt to reach a broker, several times a second; we say once that Kafka is away.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
