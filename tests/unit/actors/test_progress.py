from hypothesis import given
from hypothesis import strategies as st

from actors.progress import EXP_MAX, add_exp, exp_for_play, exp_to_reach, level_of


def test_the_first_levels() -> None:
    assert [exp_to_reach(level) for level in range(1, 6)] == [0, 100, 300, 600, 1000]


@given(st.integers(1, 10_000_000))
def test_a_level_begins_exactly_where_it_says(level: int) -> None:
    assert level_of(exp_to_reach(level)) == level
    assert level_of(exp_to_reach(level + 1) - 1) == level


@given(st.integers(1, 10**9))
def test_experience_grows_with_the_stake_but_slowly(stake: int) -> None:
    gained = exp_for_play(stake)
    assert gained - 10 <= stake**0.5 < gained - 9 + 1e-6
    assert exp_for_play(stake + 1) >= gained


def test_experience_has_an_end() -> None:
    assert add_exp(EXP_MAX - 1, 10) == EXP_MAX
