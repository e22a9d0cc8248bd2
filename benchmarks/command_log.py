"""The bots' own record of what they were told: one JSON line per acknowledged command.

Owns the file's format. It is the witness against the server in fault tests, so a line is written
only for an answer that has arrived, with the answer's content.

    {"line": "run", "prefix"}                                      first line of each process
    {"line": "ack", "user_id", "command_id", "name", "sends", "reply"}  an acknowledged command
    {"line": "left", "user_id", "unanswered", "gold_balance", "last_seq"}  last line of a player
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Union

import msgspec

_FLUSH_BYTES = 1 << 18


class RunStarted(msgspec.Struct, tag="run", tag_field="line"):
    """``prefix`` begins every command id of this process, and no other's."""

    prefix: str


class Acknowledged(msgspec.Struct, tag="ack", tag_field="line"):
    """``sends`` > 1: the command was sent again before this answer."""

    user_id: str
    command_id: str
    name: str
    sends: int
    reply: dict[str, Any]


class PlayerLeft(msgspec.Struct, tag="left", tag_field="line"):
    """``gold_balance`` is the last one an event told, ``last_seq`` the last event's number."""

    user_id: str
    unanswered: list[str]
    gold_balance: int | None
    last_seq: int | None


Line = Union[RunStarted, Acknowledged, PlayerLeft]

_encoder = msgspec.json.Encoder()
_decode_line = msgspec.json.Decoder(Line).decode
_decode_reply = msgspec.msgpack.Decoder(dict[str, Any]).decode


class CommandLog:
    """Writes one process's file, through a buffer. The first answer stands there at once, for whoever
    waits for play to begin."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._buffer = bytearray()
        self._is_playing = False
        self._write(RunStarted(prefix))

    def acknowledged(self, user_id: str, command_id: str, name: str, sends: int, reply: msgspec.Raw) -> None:
        """``reply`` is the result's data, in MessagePack."""
        self._write(Acknowledged(user_id, command_id, name, sends, _decode_reply(reply)))
        if not self._is_playing:
            self._is_playing = True
            self._flush()

    def left(
        self, user_id: str, unanswered: list[str], gold_balance: int | None, last_seq: int | None
    ) -> None:
        self._write(PlayerLeft(user_id, unanswered, gold_balance, last_seq))

    def close(self) -> None:
        self._flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> CommandLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: Line) -> None:
        buffer = self._buffer
        buffer += _encoder.encode(line)
        buffer += b"\n"
        if len(buffer) > _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._buffer)
        self._buffer.clear()
        self._file.flush()


def log_paths(path: Path, processes: int) -> list[Path]:
    """One file per bot process: ``FILE``, or ``FILE.0``, ``FILE.1``, … for several."""
    if processes == 1:
        return [path]
    return [path.with_name(f"{path.name}.{number}") for number in range(processes)]


def read_log(paths: Iterable[Path]) -> Iterator[Line]:
    """Every line of these files, in order.

    Raises:
        ValueError: a line is not of the format; says which.
    """
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield _decode_line(line)
                except msgspec.DecodeError as error:
                    raise ValueError(f"{path}:{number}: {error}") from None
