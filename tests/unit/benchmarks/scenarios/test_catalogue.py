import msgspec
import pytest

from benchmarks.load.plan import Wishes, options_of, plan_of
from benchmarks.load.result import check_threshold
from benchmarks.load.target import Target
from benchmarks.load.thresholds import parse_threshold
from benchmarks.options import AnyOptions
from benchmarks.scenarios.catalogue import SCENARIOS

TARGET = Target(url="http://h:1", name="casino")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_whole(name: str) -> None:
    scenario = SCENARIOS[name]
    for text in scenario.thresholds:
        check_threshold(parse_threshold(text), scenario)
    (options,) = options_of(plan_of(scenario, Wishes()), scenario, TARGET)
    again = msgspec.json.decode(msgspec.json.encode(options), type=AnyOptions)
    assert again == options
    assert scenario.measured.endswith(".")
    assert scenario.crowd.format(7).count("7") == 1


def test_all_that_are_promised() -> None:
    assert list(SCENARIOS) == ["spin", "journey", "crash", "idle", "resume", "rest", "broadcast"]
