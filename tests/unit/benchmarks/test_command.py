import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.command import bots, parse_duration

APP = typer.Typer()
APP.command()(bots)


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("2m", 120), ("1h", 3600), ("500ms", 0.5), ("7", 7), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "0s", "1 day", "1s2m"])
def test_no_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


def test_help_names_every_option() -> None:
    shown = CliRunner().invoke(APP, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert shown.exit_code == 0
    for option in (
        "--players",
        "--duration",
        "--url",
        "--depth",
        "--processes",
        "--resume-every",
        "--log",
        "--json",
        "--game",
        "--rounds",
        "--table",
        "--watchers",
    ):
        assert option in shown.output


def test_exit_codes_and_json(tmp_path: Path) -> None:
    """As a person runs it: a process of its own, against another."""
    script = "import typer; from benchmarks.command import bots; typer.run(bots)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    fake = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fake_casino.py"))], stdout=subprocess.PIPE, text=True
    )
    try:
        assert fake.stdout is not None
        url = fake.stdout.readline().strip()
        arguments = ["--url", url, "--players", "3", "--duration", "300ms"]
        command = [sys.executable, "-c", script, *arguments]
        plain = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert plain.returncode == 0, plain.stderr
        assert "ok: no errors" in plain.stdout
        json = subprocess.run(
            [*command, "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert json.returncode == 0, json.stderr
        assert json.stdout.startswith('{"ok":true')
    finally:
        fake.kill()
        fake.wait()
    assert fake.stdout is not None
    fake.stdout.close()
    nobody = subprocess.run(
        [*command, "--sign-up-timeout", "300ms"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert nobody.returncode == 2
    assert "0 of 3 players" in nobody.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--players", "4", "--rounds", "1"], "every bet settled once"),
        (["--watchers", "4", "--duration", "1500ms", "--json"], '{"ok":true'),
    ],
)
def test_crash_from_the_command_line(arguments: list[str], expected: str) -> None:
    script = "import typer; from benchmarks.command import bots; typer.run(bots)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fake_casino.py")), "0", "--crash", "4"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as fake:
        assert fake.stdout is not None
        url = fake.stdout.readline().strip()
        done = subprocess.run(
            [sys.executable, "-c", script, "--game", "crash", "--url", url, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        fake.kill()
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout


def test_rounds_are_for_crash() -> None:
    refused = CliRunner().invoke(APP, ["--rounds", "3"])
    assert refused.exit_code == 2
