"""The golden frames: up to date, readable by an independent decoder, true to the actors."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import msgspec
import pytest

from actors.catalogue import behaviors
from actors.crash.broadcast import TABLE_PUSHES
from actors.profile import Profile
from gateway.catalogue import Command, InvalidData
from gateway.golden_frames import FILE, conversation, render

SESSION = behaviors()["session"]
PUSHES = {**SESSION.pushes, **{spec.name: spec for spec in TABLE_PUSHES}}
OF_THE_GATEWAY = {"authenticate", "subscribe", "unsubscribe"}
FRAMES: list[dict[str, Any]] = json.loads(FILE.read_text())["frames"]
NAMES = [f"{number}-{frame['name']}" for number, frame in enumerate(FRAMES)]


def test_the_file_is_what_the_encoders_give() -> None:
    assert FILE.read_text() == render(), "run python -m gateway.golden_frames and look at the difference"


@pytest.mark.parametrize("frame", FRAMES, ids=NAMES)
def test_bytes_and_map_agree(frame: dict[str, Any]) -> None:
    payload = bytes.fromhex(frame["hex"])
    assert msgpack.unpackb(payload) == frame["message"]
    if isinstance(frame["message"], dict):
        assert msgpack.packb(frame["message"]) == payload, "another encoder comes to the same bytes"


@pytest.mark.parametrize("frame", FRAMES, ids=NAMES)
def test_variable_fields_exist(frame: dict[str, Any]) -> None:
    for path in frame["variable"]:
        node = frame["message"]
        for part in path.split("."):
            node = node[part]


def strictly(data: Any, kind: type[msgspec.Struct]) -> None:
    """The data is exactly what the type encodes to."""
    value = msgspec.msgpack.decode(msgspec.msgpack.encode(data), type=kind)
    assert msgpack.unpackb(msgspec.msgpack.encode(value)) == data


def test_the_actors_speak_so() -> None:
    requests: dict[str, str] = {}
    seen: set[str] = set()
    for golden in conversation():
        message = msgpack.unpackb(golden.payload)
        if not isinstance(message, dict):
            continue
        kind, data = message["type"], message["data"]
        if golden.sender == "client":
            requests[message["id"]] = kind
            if kind in OF_THE_GATEWAY:
                continue
            command = Command(SESSION.commands[kind])
            raw = msgspec.Raw(msgspec.msgpack.encode(data))
            if message["id"] == "spin-2":
                with pytest.raises(InvalidData):
                    command.from_messagepack(raw)
            else:
                assert msgpack.unpackb(command.from_messagepack(raw)) == data
        elif kind == "result" and requests[message["id"]] not in OF_THE_GATEWAY:
            strictly(data, SESSION.commands[requests[message["id"]]].result)
        elif kind == "initial_state":
            strictly(data, Profile)
        elif kind in PUSHES:
            strictly(data, PUSHES[kind].data)
        seen.add(kind)
    assert {"result", "error", "sync_connected", "initial_state", "profile_update"} <= seen
    assert {spec.name for spec in TABLE_PUSHES} <= seen


def test_seqs_have_no_gap() -> None:
    events = [frame["message"] for frame in FRAMES if "seq" in frame["message"]]
    seqs = [event["seq"] for event in events if event["user_id"] is not None]
    assert seqs == [None, 1, 2, 3, 4, 5, 6, 7, 8, None, 7, 8]


def test_a_topics_events_are_nobodys() -> None:
    events = [frame["message"] for frame in FRAMES if "seq" in frame["message"]]
    tables = [event for event in events if event["type"] in {spec.name for spec in TABLE_PUSHES}]
    assert tables
    for event in tables:
        assert (event["user_id"], event["seq"]) == (None, None)
        assert event["data"]["table"] == "main"
