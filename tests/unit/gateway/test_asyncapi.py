"""The AsyncAPI document: deterministic, complete, and its schemas fit the golden frames."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from actors.catalogue import behaviors
from actors.crash.broadcast import TABLE_PUSHES
from actors.profile import Profile
from gateway.asyncapi import asyncapi_document
from gateway.golden_frames import FILE
from tests.unit.gateway.fakes import CATALOGUE, PUSHES

SESSION = behaviors()["session"]
TOPICS = {"crash": {spec.name: spec for spec in TABLE_PUSHES}}
DOCUMENT = asyncapi_document(SESSION.commands, SESSION.pushes, Profile, TOPICS)


def test_deterministic() -> None:
    backwards = dict(reversed(list(SESSION.commands.items())))
    topics = {"crash": {spec.name: spec for spec in reversed(TABLE_PUSHES)}}
    again = asyncapi_document(backwards, SESSION.pushes, Profile, topics)
    assert json.dumps(again) == json.dumps(DOCUMENT)


def test_players_commands_only() -> None:
    document = asyncapi_document(CATALOGUE, PUSHES)
    assert "place_crash_bet" in document["operations"]
    assert "open_session" not in json.dumps(document)
    assert document["components"]["messages"]["place_crash_bet"]["x-errors"] == ["betting_closed"]


def test_events_of_topics_are_numbered_for_nobody() -> None:
    messages = DOCUMENT["components"]["messages"]
    for name in ("crash_state", "crash_tick", "crash_crashed"):
        properties = messages[name]["payload"]["properties"]
        assert properties["user_id"] == properties["seq"] == {"type": "null"}
        assert messages[name]["x-topic"] == "crash/{key}"
        assert {"$ref": f"#/channels/sync/messages/{name}"} in DOCUMENT["operations"]["events"]["messages"]
    assert messages["profile_update"]["payload"]["properties"]["user_id"] == {"type": "string"}


def test_a_name_stands_for_one_message() -> None:
    with pytest.raises(ValueError, match="profile_update"):
        asyncapi_document(SESSION.commands, SESSION.pushes, Profile, {"crash": PUSHES})


def test_topics_can_be_joined_and_left() -> None:
    document = asyncapi_document(CATALOGUE, PUSHES)
    assert document["components"]["messages"]["subscribe"]["x-errors"] == ["too_many_topics", "unknown_topic"]
    assert {"subscribe", "unsubscribe"} <= set(document["operations"])


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return found + [reference for value in node.values() for reference in references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in references(value)]
    return []


def test_every_reference_leads_somewhere() -> None:
    assert references(DOCUMENT)
    for reference in set(references(DOCUMENT)):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def golden() -> list[dict[str, Any]]:
    return list(json.loads(FILE.read_text())["frames"])


@pytest.mark.parametrize("frame", golden(), ids=lambda frame: frame["name"])
def test_golden_frames_fit(frame: dict[str, Any]) -> None:
    message = frame["message"]
    if not isinstance(message, dict) or message["id" if frame["sender"] == "client" else "type"] == "spin-2":
        return
    commands = {
        "auth-1": "authenticate",
        "auth-2": "authenticate",
        "auth-3": "authenticate",
        "spin-1": "spin_slots",
        "watch-1": "subscribe",
        "watch-3": "unsubscribe",
    }
    name = message["type"]
    if name == "result":
        name = commands.get(message["id"], "claim_streak") + ".result"
    schema = {**DOCUMENT["components"]["messages"][name]["payload"], "components": DOCUMENT["components"]}
    jsonschema.validate(message, schema)
