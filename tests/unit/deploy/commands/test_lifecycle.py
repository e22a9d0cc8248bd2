from pathlib import Path

import pytest

from deploy.commands import lifecycle
from deploy.instance import Instance, RunState


def test_up_shows_no_password_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = Instance(tmp_path)
    (tmp_path / "secrets").mkdir()
    monkeypatch.setattr(lifecycle.console, "width", 200)
    dsn = "postgresql://ann:s3cret@db:5432/casino"
    state = RunState(1, "http://127.0.0.1:8000", dsn, "redis://", "http://127.0.0.1:8265", "127.0.0.1:1")
    lifecycle._print_addresses(state, instance)
    said = capsys.readouterr().out
    assert "postgresql://ann:***@db:5432/casino" in said
    assert "s3cret" not in said
    # The Ray token is asked for by a page that only its owner can use: it is meant to be read here.
    assert instance.secret("ray-token") in said
    instance.write_state(state)
    run_json = tmp_path / "run.json"
    assert "s3cret" in run_json.read_text()
    assert run_json.stat().st_mode & 0o777 == 0o600
