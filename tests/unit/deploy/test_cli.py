import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deploy.cli import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f"casino {name}" in shown.output or f"root {name}" in shown.output, shown.output


def test_help_lists_all_of_them() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert all(f"│ {name} " in shown for name in COMMANDS), shown


def test_an_unknown_command_is_a_fault() -> None:
    refused = CliRunner().invoke(app, ["gamble"])
    assert refused.exit_code == 2
    assert "No such command 'gamble'" in refused.output


def test_a_command_imports_nothing_of_the_others() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from deploy.cli import app\n"
        "assert CliRunner().invoke(app, ['status', '--help']).exit_code == 0\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "deploy" in imported
    assert {"ray", "fastapi", "alembic", "aiokafka", "clickhouse_connect"}.isdisjoint(imported)
