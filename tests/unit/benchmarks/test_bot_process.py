import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.options import BotOptions


def test_it_ends_with_its_stdin() -> None:
    options = msgspec.json.encode(BotOptions(url="http://127.0.0.1:9", players=1, sign_up_timeout_s=0.2))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bot_process"],
        input=options + b"\ngather\n",
        cwd=Path(__file__).parents[3],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    opened, gathered = done.stdout.splitlines()
    assert opened == b'""'
    assert b"0 of 1 players" in gathered
