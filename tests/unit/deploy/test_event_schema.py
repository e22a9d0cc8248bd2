"""The schema in ``docs/events.schema.json`` is what consumers rely on. Stored events are for ever, too: a
change here is a change to what the journal must still be read by."""

import difflib
import json
from datetime import date
from pathlib import Path

import jsonschema
import msgspec
import pytest

from actors.catalogue import SECRET_EVENTS, behaviors
from actors.seeds import ServerSeedDrawn
from actors.streak import StreakClaimed
from deploy.event_schema import event_schema
from runtime.envelope import encode_envelope, events_of
from runtime.identity import ActorId
from runtime.journal import StoredTurn
from runtime.turn import encode_body

SNAPSHOT = Path(__file__).parents[3] / "docs" / "events.schema.json"
ACCEPT = "casino event-schema > docs/events.schema.json"


def test_the_published_schema_is_the_declared_one() -> None:
    made = json.dumps(event_schema(behaviors(), SECRET_EVENTS), indent=2, sort_keys=True).splitlines()
    declared = json.dumps(json.loads(SNAPSHOT.read_text()), indent=2, sort_keys=True).splitlines()
    changes = list(
        difflib.unified_diff(declared, made, "docs/events.schema.json", "the code", lineterm="", n=6)
    )
    assert not changes, "\n".join(["Accept the change by: " + ACCEPT, *changes])


def envelope(*events: msgspec.Struct) -> object:
    body, _, _ = encode_body(events, {}, [], [])
    turn = StoredTurn(ActorId("session/ann"), 1, "c", 0, 1_767_225_600_000, 0, 1, body)
    return json.loads(encode_envelope(events_of(turn, SECRET_EVENTS)))


def test_what_is_published_follows_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SNAPSHOT.read_text()))
    example = StreakClaimed(1_767_225_600_000, date(2026, 1, 1), "Asia/Seoul", 1, 100, 1100)
    validator.validate(envelope(example, ServerSeedDrawn(b"secret")))


@pytest.mark.parametrize(
    "event",
    [{"type": "server_seed_drawn", "server_seed": "c2VjcmV0"}, {"type": "slots_spun"}, {"type": "no such"}],
)
def test_the_schema_refuses_what_must_not_be_published(event: dict[str, object]) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SNAPSHOT.read_text()))
    wrong = {**envelope(), "events": [event]}  # type: ignore[dict-item]
    assert not validator.is_valid(wrong)
