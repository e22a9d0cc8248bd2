import pytest

from benchmarks.load.plan import Wishes, options_of, plan_of
from benchmarks.load.schedule import Stage
from benchmarks.load.target import Target
from benchmarks.scenarios.catalogue import SCENARIOS

SPIN, IDLE, CRASH = (SCENARIOS[name] for name in ("spin", "idle", "crash"))
TARGET = Target(url="http://h:1", name="casino")


def test_by_default_an_open_model() -> None:
    plan = plan_of(SPIN, Wishes(rate=2000, duration_s=10, warm_up_s=2))
    assert plan.stages == (Stage(2, 2000, 2000), Stage(10, 2000, 2000))
    assert (plan.measured_s, plan.total_s, plan.is_closed) == (10, 12, False)


def test_stages_bring_their_own_duration() -> None:
    plan = plan_of(SPIN, Wishes(stages="30s:500,1m:2000", rate=100, warm_up_s=0))
    assert plan.stages == (Stage(30, 100, 500), Stage(60, 500, 2000))
    assert plan.measured_s == 90


def test_a_closed_loop_has_no_schedule() -> None:
    plan = plan_of(SPIN, Wishes(closed=32))
    assert (plan.connections, plan.stages, plan.is_closed) == (32, (), True)
    assert all(share.is_closed for share in options_of(plan, SPIN, TARGET))


def test_connections_that_are_held_are_opened_first() -> None:
    plan = plan_of(IDLE, Wishes(connections=500, rate=100, duration_s=20))
    assert plan.stages == (Stage(5, 100, 100), Stage(20, 0, 0))
    assert (plan.measured_s, plan.warm_up_s) == (25, 0)


def test_each_generator_has_its_share() -> None:
    plan = plan_of(SPIN, Wishes(connections=7, processes=3, seed=5, poisson=True))
    shares = options_of(plan, SPIN, TARGET)
    assert [share.players for share in shares] == [3, 2, 2]
    assert [(share.process, share.processes) for share in shares] == [(0, 3), (1, 3), (2, 3)]
    assert [share.stages for share in shares] == [plan.stages] * 3
    for share in shares:
        share.check()


@pytest.mark.parametrize(
    ("scenario", "wishes", "advice"),
    [
        ("crash", Wishes(rate=5), "leave out the rate"),
        ("crash", Wishes(closed=5), "leave out --closed"),
        ("rest", Wishes(closed=5), "leave out --closed"),
        ("spin", Wishes(closed=5, rate=5), "leave out --rate"),
        ("spin", Wishes(closed=5, connections=5), "leave out --rate"),
        ("spin", Wishes(stages="1s:5", duration_s=5), "leave out --duration"),
        ("idle", Wishes(stages="1s:5"), "--rate"),
        ("spin", Wishes(stages="soon"), "stage"),
        ("spin", Wishes(rate=1e9), "--processes"),
        ("spin", Wishes(connections=0), "--connections"),
        ("spin", Wishes(connections=-1), "--connections"),
        ("spin", Wishes(closed=0), "--connections"),
        ("spin", Wishes(connections=10**6), "--connections"),
        ("spin", Wishes(connections=2, processes=3), "--processes"),
        ("spin", Wishes(processes=0), "--processes"),
    ],
)
def test_what_does_not_go_together_says_what_to_do(scenario: str, wishes: Wishes, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        plan_of(SCENARIOS[scenario], wishes)
