"""The JSON Schema of what leaves the house on the event bus, made from the events the actors declare."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from runtime.behavior import Behavior
from runtime.envelope import ENVELOPE_VERSION, REDACTED, TurnEvents

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_schema(behaviors: Mapping[str, Behavior[Any]], secret_events: Collection[str]) -> dict[str, Any]:
    """One schema for an envelope, with the events of every kind of actor as definitions. Events whose
    content is secret appear as they leave: with their type alone."""
    kinds = [behavior.events for behavior in behaviors.values()]
    references, definitions = msgspec.json.schema_components(kinds)
    types: dict[str, str] = {}
    for reference in references:
        types |= reference["discriminator"]["mapping"]
    for name in secret_events:
        definitions[types[name].rpartition("/")[2]] = {
            "title": "Redacted",
            "description": "Its content stays in the house.",
            "type": "object",
            "properties": {"type": {"enum": [name]}, REDACTED: {"const": True}},
            "required": ["type", REDACTED],
        }
    (_,), envelopes = msgspec.json.schema_components([TurnEvents])
    envelope = envelopes["TurnEvents"]
    envelope["properties"]["version"] = {"const": ENVELOPE_VERSION}
    envelope["properties"]["events"] = {
        "type": "array",
        "items": {
            "oneOf": [{"$ref": reference} for reference in types.values()],
            "discriminator": {"propertyName": "type", "mapping": types},
        },
    }
    return {
        "$schema": _DIALECT,
        **envelope,
        "title": "TurnEvents",
        "required": [*envelope["required"], "version"],
        "$defs": dict(sorted(definitions.items())),
    }
