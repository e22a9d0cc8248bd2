import json

from typer.testing import CliRunner

from deploy.commands.verification import verify

SALT = "00000000000000000001e08b7fd44f95e3e950ac65650a8031a6d5e1750e34be"
HASH = "94aa062026624e59a0ace092568d5f46e21b9bf1d5173609db8645dd62bdfc44"
PREVIOUS = "94e66d98029c61ecd27c4fb6b381d401c823cf3dfbdac9246756d5b655e125aa"


def test_a_round_of_crash_is_verified_for_people_and_programs() -> None:
    told = CliRunner().invoke(verify, ["crash", "--salt", SALT, "--hash", HASH])
    assert told.exit_code == 0
    assert "crash point    10.91\n" in told.output
    assert f"previous hash  {PREVIOUS}\n" in told.output
    told = CliRunner().invoke(verify, ["crash", "--salt", SALT, "--hash", HASH, "--json"])
    assert json.loads(told.output) == {"crash_point": 10.91, "previous_hash": PREVIOUS}


def test_what_is_no_round_is_refused_in_words() -> None:
    told = CliRunner().invoke(verify, ["crash", "--salt", SALT, "--hash", HASH[2:]])
    assert told.exit_code == 1
    assert "31 bytes" in told.stderr
