"""What a route answers must be what the OpenAPI document says of it: a hook for clients in tests."""

from __future__ import annotations

import re
from functools import cache

import httpx

from actors.catalogue import behaviors
from gateway.openapi import PROBLEM
from gateway.rest_document import rest_document

Declared = list[tuple[str, re.Pattern[str], dict[int, list[str]]]]


@cache
def operations() -> Declared:
    """``(method, path, codes by status)`` of every operation."""
    document = rest_document(behaviors()["session"].commands)
    shared = document["components"]["responses"]
    found: Declared = []
    for path, each in document["paths"].items():
        pattern = re.compile(re.sub(r"{\w+}", "[^/]+", path))
        for method, operation in each.items():
            codes: dict[int, list[str]] = {}
            for status, response in operation["responses"].items():
                named = response.get("$ref", "").rpartition("/")[2]
                schema = shared.get(named, response).get("content", {}).get(PROBLEM, {}).get("schema", {})
                if "allOf" in schema:
                    codes[int(status)] = schema["allOf"][1]["properties"]["code"]["enum"]
            found.append((method.upper(), pattern, codes))
    return found


async def must_be_declared(response: httpx.Response) -> None:
    """Fails for a problem that the document does not know of this operation."""
    await response.aread()
    if response.headers.get("content-type") != PROBLEM:
        return
    request = response.request
    for method, pattern, codes in operations():
        if method == request.method and pattern.fullmatch(request.url.path):
            code = response.json()["code"]
            assert code in codes.get(response.status_code, []), (method, request.url.path, code, codes)
