"""The REST interface changes when somebody means it to: its document stands in the repository."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest

from actors.catalogue import behaviors
from gateway.rest_document import rest_document

SNAPSHOT = Path(__file__).parents[3] / "docs" / "openapi.json"
ACCEPT = "casino openapi > docs/openapi.json"
_LINES_MAX = 200


def lines_of(document: object) -> list[str]:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


def test_the_document_is_the_one_in_the_repository() -> None:
    declared = lines_of(json.loads(SNAPSHOT.read_text()))
    made = lines_of(rest_document(behaviors()["session"].commands))
    changes = list(difflib.unified_diff(declared, made, "docs/openapi.json", "the code", lineterm="", n=6))
    if changes:
        shown = "\n".join(changes[:_LINES_MAX])
        pytest.fail(
            f"The REST interface has changed.\n{shown}\n"
            f"If that is meant, accept it with: {ACCEPT}\n"
            "and say in CHANGELOG.md what it means for clients.",
            pytrace=False,
        )


def test_it_is_made_the_same_every_time() -> None:
    commands = behaviors()["session"].commands
    assert json.dumps(rest_document(commands)) == json.dumps(rest_document(commands))
