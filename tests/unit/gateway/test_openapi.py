"""The OpenAPI document is complete: every error, every shape, every guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from fastapi import FastAPI

from actors.catalogue import behaviors
from gateway.openapi import JSON, PROBLEM, SIGNED_IN, openapi_document, problems, refusals
from gateway.rest_document import rest_document

DOCUMENT = rest_document(behaviors()["session"].commands)
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
for _operation in OPERATIONS.values():
    _operation["responses"] = {
        status: DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
        if "$ref" in response
        else response
        for status, response in _operation["responses"].items()
    }
FOR_ANYBODY = {
    "POST /api/auth/guest",
    "POST /api/auth/login",
    "POST /api/auth/logout",
    "POST /api/auth/refresh",
    "POST /api/auth/signup",
    "GET /api/games/crash/fairness",
    "GET /api/games/crash/history",
    "GET /api/metrics/global",
    "GET /api/metrics/stream",
    "GET /api/olap/health",
    "GET /healthz",
    "GET /readyz",
}
GOLD = {"POST /api/admin/players/{user_id}/gold"}


def every(value: Any) -> Iterator[dict[str, Any]]:
    """All maps in a document."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from every(part)
    elif isinstance(value, list):
        for part in value:
            yield from every(part)


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, operation in OPERATIONS.items():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield name, content
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                yield f"{name} {status}", content


def test_it_is_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    known |= {f"#/components/responses/{name}" for name in DOCUMENT["components"]["responses"]}
    document = rest_document(behaviors()["session"].commands)
    assert {part["$ref"] for part in every(document) if "$ref" in part} <= known


def test_every_error_is_a_problem_document() -> None:
    for name, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            if int(status) >= 400 and name != "GET /readyz":
                assert list(response["content"]) == [PROBLEM], (name, status)


def test_who_needs_a_token() -> None:
    for name, operation in OPERATIONS.items():
        wanted = operation.get("security", [{}])
        assert ({} in wanted) == (name in FOR_ANYBODY), name
        if name not in FOR_ANYBODY:
            assert {"401", "403", "429"} <= operation["responses"].keys(), name
    assert DOCUMENT["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def codes_of(operation: dict[str, Any], status: str) -> set[str]:
    schema = operation["responses"].get(status, {}).get("content", {}).get(PROBLEM, {}).get("schema", {})
    return set(schema["allOf"][1]["properties"]["code"]["enum"]) if "allOf" in schema else set()


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - FOR_ANYBODY))
def test_what_a_guard_may_answer(name: str) -> None:
    operation = OPERATIONS[name]
    for status, codes in SIGNED_IN.items():
        assert set(codes) <= codes_of(operation, str(status)), status
    assert ("forbidden" in codes_of(operation, "403")) == (
        "/admin/" in name or name == "GET /api/actions/recent/{user_id}"
    )


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"GET /readyz"}))
def test_every_error_says_which_codes_it_may_have(name: str) -> None:
    for status in OPERATIONS[name]["responses"]:
        assert int(status) < 400 or codes_of(OPERATIONS[name], status), status


@pytest.mark.parametrize("name", sorted(name for name in OPERATIONS if " /api/" in name))
def test_requests_are_counted_and_databases_may_be_away(name: str) -> None:
    assert "rate_limited" in codes_of(OPERATIONS[name], "429")
    assert {"unavailable", "overloaded"} <= codes_of(OPERATIONS[name], "503")


def test_where_the_key_is_required() -> None:
    required = set()
    for name, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "Idempotency-Key" and parameter["required"]:
                required.add(name)
                assert "400" in operation["responses"]
                assert "id_reused" in str(operation["responses"]["409"])
    assert required == GOLD


def test_every_operation_says_what_it_is() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for name, operation in OPERATIONS.items():
        assert operation["summary"], name
        assert set(operation["tags"]) <= tags, name


def test_whatever_waits_says_for_how_long() -> None:
    for name, operation in OPERATIONS.items():
        for status in {"429", "503"} & operation["responses"].keys():
            response = operation["responses"][status]
            if "code" in str(response.get("content", {}).get(PROBLEM, {}).get("schema", {}).get("allOf")):
                assert "Retry-After" in response["headers"], (name, status)


def test_examples_fit_their_schemas() -> None:
    seen = 0
    for name, content in contents():
        if "example" in content:
            seen += 1
            schema = {"components": DOCUMENT["components"], **content["schema"]}
            validator = jsonschema.Draft202012Validator(schema)
            assert not list(validator.iter_errors(content["example"])), name
    assert seen > 50


def test_no_bookkeeping_is_left_over() -> None:
    assert not [part for part in every(DOCUMENT) if any(name.startswith("x-") for name in part)]
    assert "HTTPValidationError" not in DOCUMENT["components"]["schemas"]


def test_problems_add_up() -> None:
    declared = problems({409: ["a"]}, {409: ["b", "a"], 429: ["c"]})
    assert list(declared) == [409, 429]
    schema = declared[409]["content"][PROBLEM]["schema"]["allOf"][1]
    assert schema["properties"] == {"status": {"const": 409}, "code": {"enum": ["a", "b"]}}
    assert refusals(["insufficient_funds", "unknown_table"]) == {
        409: ["insufficient_funds", "id_reused"],
        404: ["unknown_table"],
    }


def test_two_shapes_of_one_name_are_a_mistake() -> None:
    app = FastAPI()
    first = msgspec.defstruct("Thing", [("a", int)])
    second = msgspec.defstruct("ProblemDocument", [("a", int)])

    @app.get("/")
    async def thing() -> None: ...

    assert JSON in str(openapi_document(app, [first])["paths"])
    with pytest.raises(ValueError, match="ProblemDocument"):
        openapi_document(app, [second])
