"""The OpenAPI document: what FastAPI finds in the routes, completed.

Owns how errors are declared, and what all operations have in common. The shapes of commands come from
their CommandSpecs, as in the AsyncAPI document: one source for both doors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import WithJsonSchema

from gateway.problems import ProblemDocument, status_of, title_of

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
Codes = Mapping[int, Sequence[str]]
"""Error codes by status."""

SCHEMAS = "#/components/schemas/"
PROBLEM = "application/problem+json"
JSON = "application/json"

VISITED: Codes = {429: ["rate_limited"]}
SIGNED_IN: Codes = {
    401: ["not_authenticated", "token_invalid", "token_expired", "token_revoked"],
    403: ["banned"],
    429: ["rate_limited"],
}
ADMINISTRATORS: Codes = {403: ["forbidden"]}
ASKED: Codes = {500: ["internal"], 503: ["unavailable", "overloaded"]}
"""An actor or a database had to be asked."""
CHECKED: Codes = {422: ["invalid_data"]}

_SHAPE = "x-shape"
_SHARED_CODES_MAX = 4
"""Problems with more codes are hardly the same anywhere else."""
REQUIRES_KEY = "x-idempotency-key-required"

_DESCRIPTION = """\
A second door to the same actors that the WebSocket leads to: whatever is done here shows on the
player's sockets, and the other way round.

**Errors** are problem documents (RFC 9457) whose `code` is stable and the same as on the socket.
A problem with `Retry-After` may be tried again after so many seconds.

**Idempotency.** With an `Idempotency-Key` a command has effect once, however often it is sent, and gives
the same answer; where gold moves, the key is required. The key is the command's id: on the socket, too.
A refused command changed nothing and is not remembered.

**Before a request is complete** the transport may answer by itself, without a document: 408 (too slow),
431 (headers too large), 503 (too many connections).
"""

_TAGS = [
    {"name": "accounts", "description": "Who may enter."},
    {"name": "player", "description": "The signed-in player."},
    {"name": "games", "description": "Play. The stake limits are those of the player's role."},
    {"name": "crash", "description": "What anybody may know of the tables of Crash."},
    {"name": "administration", "description": "For the role ADMIN. Every call leaves its audit row."},
    {"name": "operations", "description": "For whoever runs the house."},
]


def problems(*groups: Codes) -> Responses:
    """The error responses of an operation, each with every code it may have."""
    codes: dict[int, list[str]] = {}
    for group in groups:
        for status, some in group.items():
            known = codes.setdefault(status, [])
            known += [code for code in some if code not in known]
    return {status: _problem(status, some) for status, some in sorted(codes.items())}


def refusals(errors: Sequence[str]) -> Codes:
    """The codes with which a command is refused, by the status that they become."""
    found: dict[int, list[str]] = {}
    for code in (*errors, "id_reused"):
        found.setdefault(int(status_of(code)), []).append(code)
    return found


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    phrase = title_of(status)
    document: dict[str, Any] = {
        "description": f"{phrase}: {', '.join(f'`{code}`' for code in codes)}",
        "content": {
            PROBLEM: {
                "schema": {
                    "allOf": [
                        {"$ref": f"{SCHEMAS}{ProblemDocument.__name__}"},
                        {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}},
                    ]
                },
                "example": {
                    "type": f"urn:casino-club:problem:{codes[0]}",
                    "title": phrase,
                    "status": status,
                    "detail": "What went wrong, for people.",
                    "code": codes[0],
                },
            }
        },
    }
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        document["headers"] = {
            "Retry-After": {
                "description": "Seconds until it is worth trying again",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    if status == HTTPStatus.UNAUTHORIZED:
        document["headers"] = {
            "WWW-Authenticate": {"description": "RFC 6750", "schema": {"type": "string"}},
        }
    return document


def shape_named(name: str) -> WithJsonSchema:
    """Annotates a model's field that holds a shape of the actors, as it came from them."""
    return WithJsonSchema({_SHAPE: name})


def reference(shape: type[msgspec.Struct]) -> Schema:
    """A reference to the shape among the document's schemas, where ``openapi_document`` puts it."""
    return {"$ref": f"{SCHEMAS}{shape.__name__}"}


def openapi_document(app: FastAPI, shapes: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """The whole document, the same for the same routes. ``shapes`` are those that routes refer to.

    Raises:
        ValueError: one name stands for two shapes.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        summary=app.summary,
        description=_DESCRIPTION,
        tags=_TAGS,
        routes=app.routes,
    )
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas[ProblemDocument.__name__] = ProblemDocument.model_json_schema()
    for schema in schemas.values():
        _refer_to_shapes(schema)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _, found = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=SCHEMAS + "{name}")
    for name, schema in found.items():
        if _bare(schemas.get(name, schema)) != _bare(schema):
            raise ValueError(f"two shapes have the name {name}")
        schemas[name] = schema
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["responses"] = _shared_problems(document["paths"])
    return document


def _shared_problems(paths: dict[str, Any]) -> dict[str, Any]:
    """Take the problems that many operations have in common out of them; by name."""
    shared = {}
    for path in paths.values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                codes = _codes_of(response)
                if 0 < len(codes) <= _SHARED_CODES_MAX:
                    name = ".".join((status, *codes))
                    shared[name] = response
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _codes_of(response: dict[str, Any]) -> list[str]:
    schema = response.get("content", {}).get(PROBLEM, {}).get("schema", {})
    codes: list[str] = schema["allOf"][1]["properties"]["code"]["enum"] if "allOf" in schema else []
    return codes


def _bare(schema: Schema) -> Schema:
    """What of a schema says which values it takes. Enums are described in the order of their values."""
    bare = {name: value for name, value in schema.items() if name not in ("title", "description", "type")}
    return bare | {"enum": sorted(bare["enum"])} if "enum" in bare else bare


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if PROBLEM not in responses.get("422", {}).get("content", {PROBLEM: ...}):
        # FastAPI's own.
        del responses["422"]
    if "requestBody" in operation:
        responses.setdefault("400", _problem(400, ["invalid_request"]))
        responses.setdefault("413", _problem(413, ["body_too_large"]))
    responses.setdefault("500", _problem(500, ["internal"]))
    if operation.get("parameters") or "requestBody" in operation:
        responses.setdefault("422", _problem(422, CHECKED[422]))
    if operation.pop(REQUIRES_KEY, False):
        for parameter in operation["parameters"]:
            if parameter["in"] == "header":
                parameter["required"] = True
    for parameter in operation.get("parameters", []):
        _without_null(parameter["schema"])
    operation["responses"] = dict(sorted(responses.items()))


def _refer_to_shapes(model: Schema) -> None:
    # Pydantic would look for the shape among its own models.
    for field in model.get("properties", {}).values():
        for schema in (field, *field.get("anyOf", [])):
            if _SHAPE in schema:
                name = schema[_SHAPE]
                schema.clear()
                schema["$ref"] = f"{SCHEMAS}{name}"


def _without_null(schema: Schema) -> None:
    """A parameter that may be left out cannot be null: there is no way to write that."""
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:
        del schema["anyOf"]
        schema.update(options[0])
