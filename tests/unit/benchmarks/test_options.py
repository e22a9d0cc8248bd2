import msgspec
import pytest

from benchmarks.options import AnyOptions, BotOptions, CrashOptions, WatchOptions


@pytest.mark.parametrize(
    "name",
    ["players", "depth", "stake", "sign_up_parallel", "resume_every_s", "sign_ups_per_s", "answer_timeout_s"],
)
def test_senseless_options_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        BotOptions(**{"url": "http://h", "players": 1, name: 0}).check()


@pytest.mark.parametrize("name", ["think_s", "drain_s"])
def test_zero_pauses_are_fine_and_negative_ones_are_not(name: str) -> None:
    BotOptions(**{"url": "http://h", "players": 1, name: 0.0}).check()
    with pytest.raises(ValueError, match=name):
        BotOptions(**{"url": "http://h", "players": 1, name: -1.0}).check()


def test_they_cross_the_process_boundary() -> None:
    options = BotOptions(url="http://h", players=3, resume_every_s=2.5, log="x")
    assert msgspec.json.decode(msgspec.json.encode(options), type=BotOptions) == options


@pytest.mark.parametrize(
    "options",
    [
        BotOptions(url="http://h", players=3),
        CrashOptions(url="http://h", players=3, rounds=2, table="high"),
        WatchOptions(url="http://h", players=3, bare=True),
    ],
)
def test_each_kind_is_told_from_the_others(options: BotOptions) -> None:
    assert msgspec.json.decode(msgspec.json.encode(options), type=AnyOptions) == options


@pytest.mark.parametrize(
    ("name", "value"), [("rounds", 0), ("table", ""), ("silence_s", 0.0), ("players", 0)]
)
def test_senseless_rounds_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        CrashOptions(**{"url": "http://h", "players": 1, name: value}).check()


@pytest.mark.parametrize(
    ("name", "value"), [("connections_per_guest", 0), ("connect_parallel", 0), ("table", "")]
)
def test_senseless_watching_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        WatchOptions(**{"url": "http://h", "players": 1, name: value}).check()
