"""The AsyncAPI 3.0 document of protocol v1, made from the envelopes, the commands and the events.

Owns the document's layout. The same input gives the same document, byte for byte, so that a
snapshot in the repository shows every change of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.schema import (
    AUTHENTICATE,
    CLOSES,
    ERRORS,
    ID_CHARS_MAX,
    INITIAL_STATE,
    PATH,
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MESSAGEPACK,
    SUBSCRIBE,
    SYNC_CONNECTED,
    UNSUBSCRIBE,
    AuthenticateData,
    AuthenticateResult,
    ErrorData,
    SyncConnectedData,
    TopicData,
    TopicResult,
)
from runtime.behavior import CommandSpec, PushSpec

_REF = "#/components/schemas/{name}"
_ID = {"type": "string", "minLength": 1, "maxLength": ID_CHARS_MAX}
_CHANNEL = "#/channels/sync"

_TOPIC_ERRORS = {SUBSCRIBE: ["too_many_topics", "unknown_topic"], UNSUBSCRIBE: ["unknown_topic"]}

Schema = dict[str, Any]


def asyncapi_document(
    catalogue: Mapping[str, CommandSpec],
    pushes: Mapping[str, PushSpec],
    view: type[msgspec.Struct] | None = None,
    topics: Mapping[str, Mapping[str, PushSpec]] | None = None,
) -> dict[str, Any]:
    """The whole document. ``view`` is what ``initial_state`` carries, if its type is known. ``topics``:
    the events of each kind of topic, its view among them, by the kind of actor.

    Raises ``ValueError`` when one name stands for two messages.
    """
    topic_events = [(kind, spec) for kind, specs in (topics or {}).items() for spec in specs.values()]
    topic_events.sort(key=lambda event: event[1].name)
    commands = {name: spec for name, spec in sorted(catalogue.items()) if spec.audience == "player"}
    events = dict(sorted(pushes.items()))
    types: list[Any] = [AuthenticateData, AuthenticateResult, ErrorData, SyncConnectedData]
    types += [TopicData, TopicResult]
    types += [shape for spec in commands.values() for shape in (spec.data, spec.result)]
    types += [spec.data for spec in events.values()]
    if view is not None:
        types.append(view)
    types += [spec.data for _, spec in topic_events]
    types = list(dict.fromkeys(types))
    found, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of: dict[Any, Schema] = dict(zip(types, found, strict=True))
    messages = _messages(commands, events, schema_of, view)
    for kind, spec in topic_events:
        if spec.name in messages:
            raise ValueError(f"{spec.name} of the topics {kind}/… is the name of another message, too")
        messages[spec.name] = _topic_message(kind, spec, schema_of[spec.data])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "casino-club realtime",
            "version": "1",
            "description": (
                f"One WebSocket at {PATH}. Subprotocol {SUBPROTOCOL_MESSAGEPACK}: each binary frame is one "
                f"MessagePack map. {SUBPROTOCOL_JSON}: the same maps as JSON text. The first message is "
                f"{AUTHENTICATE}; then come its result, {SYNC_CONNECTED}, and {INITIAL_STATE} or the missed "
                "events. seq grows by one from event to event. "
                f"{AUTHENTICATE} may come again, with a newer token of the same user: without one the "
                "connection is closed a minute after its token has expired. "
                f"{SUBSCRIBE} adds the events of a topic, which are not part of that sequence."
            ),
        },
        "defaultContentType": "application/msgpack",
        "servers": {
            "gateway": {
                "host": "{host}",
                "protocol": "ws",
                "variables": {"host": {"default": "127.0.0.1:8000"}},
            }
        },
        "channels": {
            "sync": {
                "address": PATH,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": _operations(commands, [*events, *(spec.name for _, spec in topic_events)]),
        "components": {"messages": messages, "schemas": dict(sorted(components.items()))},
        "x-errors": {
            code: {"retryable": meaning.retryable, "meaning": meaning.meaning}
            for code, meaning in ERRORS.items()
        },
        "x-close-codes": {str(code): meaning for code, meaning in CLOSES.items()},
    }


def _messages(
    commands: Mapping[str, CommandSpec],
    events: Mapping[str, PushSpec],
    schema_of: Mapping[Any, Schema],
    view: type[msgspec.Struct] | None,
) -> dict[str, Any]:
    messages: dict[str, Any] = {
        AUTHENTICATE: _message("Show the access token.", _request(AUTHENTICATE, schema_of[AuthenticateData])),
        f"{AUTHENTICATE}.result": _message("The token is good.", _result(schema_of[AuthenticateResult])),
    }
    for name, summary in (
        (SUBSCRIBE, "Receive a topic's view, then its events, until the connection ends."),
        (UNSUBSCRIBE, "Receive no more of a topic's events."),
    ):
        messages[name] = _message(summary, _request(name, schema_of[TopicData]))
        messages[name]["x-errors"] = _TOPIC_ERRORS[name]
        messages[f"{name}.result"] = _message(f"Result of {name}.", _result(schema_of[TopicResult]))
    for name, spec in commands.items():
        request = _message(spec.summary, _request(name, schema_of[spec.data]))
        request["x-errors"] = sorted(spec.errors)
        messages[name] = request
        messages[f"{name}.result"] = _message(f"Result of {name}.", _result(schema_of[spec.result]))
    messages["error"] = _message(
        "A message that was not carried out; id is null when it could not be read.",
        _envelope(
            {
                "type": {"const": "error"},
                "id": {"anyOf": [_ID, {"type": "null"}]},
                "data": schema_of[ErrorData],
            }
        ),
    )
    messages[SYNC_CONNECTED] = _message(
        "The connection is attached to its session.",
        _event(SYNC_CONNECTED, schema_of[SyncConnectedData], {"type": "null"}),
    )
    state = schema_of[view] if view is not None else {"type": "object"}
    messages[INITIAL_STATE] = _message(
        "Everything the client shows; replaces what it knew.", _event(INITIAL_STATE, state)
    )
    for name, event in events.items():
        messages[name] = _message(event.summary, _event(name, schema_of[event.data]))
    return messages


def _topic_message(kind: str, spec: PushSpec, data: Schema) -> dict[str, Any]:
    nobody: Schema = {"type": "null"}
    message = _message(spec.summary, _event(spec.name, data, nobody, nobody))
    message["x-topic"] = f"{kind}/{{key}}"
    return message


def _operations(commands: Mapping[str, CommandSpec], events: Iterable[str]) -> dict[str, Any]:
    """From the gateway's side: it receives commands and sends events."""

    def message(name: str) -> dict[str, str]:
        return {"$ref": f"{_CHANNEL}/messages/{name}"}

    operations: dict[str, Any] = {}
    for name in (AUTHENTICATE, SUBSCRIBE, UNSUBSCRIBE, *commands):
        operations[name] = {
            "action": "receive",
            "channel": {"$ref": _CHANNEL},
            "messages": [message(name)],
            "reply": {
                "channel": {"$ref": _CHANNEL},
                "messages": [message(f"{name}.result"), message("error")],
            },
        }
    operations["events"] = {
        "action": "send",
        "channel": {"$ref": _CHANNEL},
        "messages": [message(name) for name in (SYNC_CONNECTED, INITIAL_STATE, *events)],
    }
    return operations


def _message(summary: str, payload: Schema) -> dict[str, Any]:
    return {"summary": summary, "payload": payload}


def _envelope(properties: dict[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _request(name: str, data: Schema) -> Schema:
    return _envelope({"type": {"const": name}, "id": _ID, "data": data})


def _result(data: Schema) -> Schema:
    return _envelope({"type": {"const": "result"}, "id": _ID, "data": data})


def _event(name: str, data: Schema, seq: Schema | None = None, user: Schema | None = None) -> Schema:
    return _envelope(
        {
            "type": {"const": name},
            "user_id": user or {"type": "string"},
            "data": data,
            "timestamp": {"type": "integer", "description": "ms since the Unix epoch"},
            "seq": seq or {"type": "integer", "minimum": 0},
        }
    )
