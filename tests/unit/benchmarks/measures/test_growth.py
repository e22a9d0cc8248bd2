from typing import Any

import msgspec
import pytest

from benchmarks.load.processes import LOAD, Usage
from benchmarks.load.result import Result, Sample
from benchmarks.measures.growth import Setting, Turn, concluded, growth, pair_of, settings_of, turn_of
from benchmarks.measures.server import MeasureFailed
from tests.unit.benchmarks.load.results import a_result

FEW, MANY, HOSTS = Setting(10, 1, 10), Setting(100, 1, 100), Setting(10, 4, 10)


def test_one_casino_for_each_difference() -> None:
    assert settings_of([100, 10], [1, 4]) == [FEW, MANY, HOSTS]
    assert settings_of([10, 50, 100], [2]) == [Setting(10, 2, 10), Setting(50, 2, 50), Setting(100, 2, 100)]
    assert settings_of([10, 100], [1], 1_000)[-1] == Setting(100, 1, 1_000)
    assert pair_of([FEW, MANY, HOSTS]) == (FEW, MANY)


@pytest.mark.parametrize(
    ("residents", "hosts", "registered", "reason"),
    [
        ([10], [1], 0, "two different"),
        ([10, 10], [1], 0, "two different"),
        ([0, 10], [1], 0, "none below 1"),
        ([10, 20], [], 0, "hosts"),
        ([10, 20], [0], 0, "hosts"),
        ([10, 20], [1], 15, "registered: 15 are fewer"),
    ],
)
def test_numbers_that_make_no_sense(
    residents: list[int], hosts: list[int], registered: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        settings_of(residents, hosts, registered)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"seconds": 0.1}])
async def test_turns_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rounds must be"):
        await growth(lambda line: None, **wrong)


def test_the_ratio_is_the_median_of_those_within_rounds() -> None:
    found = concluded(
        {
            # Between the rounds the machine became twice as slow, for both alike.
            FEW: [Turn(100.0, 50.0), Turn(200.0, 25.0), Turn(210.0, 24.0)],
            MANY: [Turn(110.0, 45.0), Turn(220.0, 22.0), Turn(420.0, 12.0)],
            HOSTS: [Turn(130.0, 40.0), Turn(140.0, 41.0), Turn(150.0, 42.0)],
        }
    )
    assert found.ratio == 1.1
    assert [(point.residents, point.hosts) for point in found.points] == [(10, 1), (100, 1), (10, 4)]
    assert [point.cpu_us_per_command for point in found.points] == [200.0, 220.0, 140.0]
    assert [point.commands_per_s for point in found.points] == [25.0, 22.0, 41.0]


def sampled(*samples: Sample, **changes: Any) -> Result:
    return msgspec.structs.replace(a_result(), samples=list(samples), errors={}, **changes)


def test_cpu_of_the_server_over_commands() -> None:
    result = sampled(
        Sample(-0.5, [Usage("gateway", 9.0, 1)]),
        Sample(0.5, [Usage("gateway", 0.6, 1), Usage("Postgres", 0.4, 1), Usage(LOAD, 0.9, 1)]),
        Sample(2.5, [Usage("gateway", 0.3, 1), Usage("Postgres", 0.1, 1), Usage(LOAD, 0.9, 1)]),
        answers=2_000,
        figures={"rate": 1_000.0},
    )
    # One second at 1.0 cores and two at 0.4.
    assert turn_of(result) == Turn(pytest.approx(1.8 / 3.0 / 1_000 * 1e6), 1_000.0)


def test_a_run_that_says_nothing() -> None:
    sample = Sample(1.0, [Usage(LOAD, 0.9, 1)])
    with pytest.raises(MeasureFailed, match="cannot be seen"):
        turn_of(sampled(sample, answers=5, figures={"rate": 5.0}))
    with pytest.raises(MeasureFailed, match="0 commands"):
        turn_of(sampled(sample, answers=0, figures={"rate": 0.0}))
