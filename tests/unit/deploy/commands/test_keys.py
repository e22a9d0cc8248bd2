from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.key_ring import FILE_NAME, KeyFile
from runtime.clock import SystemClock


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    (tmp_path / "secrets").mkdir()
    file = KeyFile(tmp_path / "secrets" / FILE_NAME)
    file.prepare(SystemClock().now_ms())
    return file


def run(file: KeyFile, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["keys", *arguments, "--data", str(file.path.parents[1])])
    return result.exit_code, result.output


def test_rotate_and_list(file: KeyFile) -> None:
    (old,) = file.read()
    status, said = run(file, "rotate")
    assert status == 0
    new = file.read()[-1]
    assert new.kid in said
    status, said = run(file, "list", "--json")
    assert [(key["kid"], key["signs"]) for key in json.loads(said)] == [(old.kid, True), (new.kid, False)]
    table = run(file, "list")[1]
    assert old.kid in table
    for shown in (said, table):
        assert old.key not in shown
        assert new.key not in shown
    assert run(file, "rotate", "--drop-old")[0] == 0
    assert len(file.read()) == 1


def test_no_keys_yet(tmp_path: Path) -> None:
    status, said = run(KeyFile(tmp_path / "secrets" / FILE_NAME), "list")
    assert status == 1
    assert "casino up" in said


def test_keys_of_the_environment_are_not_rotated_here(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASINO_SIGNING_KEYS", json.dumps({"a": "aa" * 32}))
    before = file.read()
    status, said = run(file, "rotate")
    assert status == 1
    assert "CASINO_SIGNING_KEYS" in said
    assert file.read() == before
