from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.crash.round import (
    TRANSITIONS,
    Course,
    Ending,
    Happening,
    Phase,
    TableRules,
    check_names,
    ending,
    forced_limit,
    paid_at,
)
from actors.games.crash import MULTIPLIER_MAX, elapsed_until, elapsed_until_above, multiplier_at, payout


def course(bets, crash_point, liability_max, profits_paid=0, capped=None) -> Course:
    """``bets``: ``(stake, auto)`` by user id, all open, started at 1,000 ms."""
    return Course(
        1_000,
        crash_point,
        liability_max,
        sum(stake for stake, _ in bets.values()),
        profits_paid,
        sorted((auto, user) for user, (_, auto) in bets.items() if auto is not None),
        lambda user: bets[user][0],
        capped,
    )


def test_a_round_goes_round() -> None:
    phase = Phase.PAUSE
    seen = [phase]
    for happening in (Happening.OPENED, Happening.STARTED, Happening.ENDED, Happening.SETTLED):
        phase = TRANSITIONS[phase, happening]
        seen.append(phase)
    assert seen == [Phase.PAUSE, Phase.BETTING, Phase.RUNNING, Phase.CRASHED, Phase.PAUSE]
    assert len(TRANSITIONS) == 4


@pytest.mark.parametrize(
    "rules",
    [
        {"stake_min": 0},
        {"stake_min": 10, "stake_max": 9},
        {"stake_max": 10**12 + 1},
        {"liability_max": 0},
        {"bets_max": 0},
        {"betting_ms": 0},
        {"pause_ms": -1},
    ],
)
def test_rules_that_no_round_can_be_played_by(rules) -> None:
    with pytest.raises(ValueError, match=r"table|betting"):
        TableRules(**rules)


def test_the_rules_of_a_table_by_default() -> None:
    assert msgspec.to_builtins(TableRules()) == {
        "betting_ms": 5_000,
        "pause_ms": 3_000,
        "stake_min": 1,
        "stake_max": 100_000,
        "liability_max": 1_000_000_000,
        "bets_max": 10_000,
        "is_closing": False,
    }


@pytest.mark.parametrize("name", ["", "Main", "a:b", "a/b", "main\n", "1st", "a" * 33])
def test_names_that_no_table_can_have(name) -> None:
    with pytest.raises(ValueError, match="not the name"):
        check_names({name: TableRules()})


def test_names_of_tables() -> None:
    check_names({"main": TableRules(), "high-rollers-2": TableRules()})


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**9))
def test_the_forced_limit_is_the_largest_that_can_be_paid(open_stakes, profits, room) -> None:
    liability_max = profits + room
    limit = forced_limit(open_stakes, profits, liability_max)
    assert limit <= MULTIPLIER_MAX
    assert 100 * profits + open_stakes * (limit - 100) <= 100 * liability_max
    if limit < MULTIPLIER_MAX:
        assert 100 * profits + open_stakes * (limit + 1 - 100) > 100 * liability_max


def test_with_nothing_open_only_the_largest_multiplier_forces_an_end() -> None:
    assert forced_limit(0, 10, 10) == MULTIPLIER_MAX


def test_a_crash_is_the_first_ms_beyond_the_crash_point() -> None:
    assert ending(1_000, 150, 200) == Ending(1_000 + elapsed_until_above(150), 150, False)
    assert multiplier_at(elapsed_until_above(150) - 1) == 150


def test_a_round_that_nobody_can_win_ends_as_it_starts() -> None:
    assert ending(1_000, 100, 200) == Ending(1_000, 100, False)


def test_a_forced_end_is_when_its_multiplier_is_reached() -> None:
    assert ending(1_000, 500, 200) == Ending(1_000 + elapsed_until(200), 200, True)


def test_at_the_crash_point_itself_the_forced_end_comes_first() -> None:
    assert ending(1_000, 200, 200) == Ending(1_000 + elapsed_until(200), 200, True)
    assert ending(1_000, 200, 201).forced is False


def test_high_up_where_a_ms_skips_multipliers_the_lower_one_still_counts() -> None:
    first = elapsed_until(50_000_000)
    assert multiplier_at(first) > 50_000_000
    assert ending(0, 50_000_001, 50_000_000) == Ending(first, 50_000_000, True)
    assert ending(0, 50_000_000, 50_000_001).forced is False


def test_what_the_end_makes_of_a_bet() -> None:
    assert paid_at(None, 300, False) is None
    assert paid_at(301, 300, False) is None
    assert paid_at(300, 300, False) == 300
    assert paid_at(None, 300, True) == 300
    assert paid_at(301, 300, True) == 300
    assert paid_at(200, 300, True) == 200


LATE = 10**15
"""Long after any round; a clock may say so."""


def test_targets_up_to_the_crash_point_are_reached_in_their_time() -> None:
    bets = {"ann": (10, 150), "ben": (10, 300), "cid": (10, 301), "dan": (10, None)}
    standing = course(bets, 300, 10**9).standing
    assert standing(0).due == 0
    assert standing(1_000 + elapsed_until(150) - 1).due == 0
    assert standing(1_000 + elapsed_until(150)).due == 1
    assert standing(10**9).due == standing(LATE).due == 2
    assert standing(LATE).ending == Ending(1_000 + elapsed_until_above(300), 300, False)


def test_a_bet_that_is_paid_makes_room_for_the_others() -> None:
    # 200 staked, 200 to lose: 2.00×. Once 100 are out at 1.50×, the other 100 may win 150.
    bets = {"ann": (100, 150), "ben": (100, None)}
    early = course(bets, 1_000, 200).standing(1_000)
    assert early.ending.multiplier == 200
    standing = course(bets, 1_000, 200).standing(LATE)
    assert standing.due == 1
    assert standing.ending == Ending(1_000 + elapsed_until(250), 250, True)


def test_a_limit_that_rises_beyond_the_crash_point_forces_nothing() -> None:
    bets = {"ann": (100, 150), "ben": (100, None)}
    present = course(bets, 200, 200)
    assert present.standing(1_000).ending == Ending(1_000 + elapsed_until(200), 200, True)
    assert present.standing(LATE).ending == Ending(1_000 + elapsed_until_above(200), 200, False)


def test_a_cap_holds_whatever_is_paid() -> None:
    bets = {"ann": (1, 150), "ben": (1, None)}
    standing = course(bets, 1_000, 10**9, capped=200).standing(LATE)
    assert (standing.due, standing.ending.multiplier, standing.ending.forced) == (1, 200, True)


bets_strategy = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2),
    st.tuples(st.integers(1, 1_000), st.none() | st.integers(101, 700)),
    min_size=1,
    max_size=12,
)


@given(
    bets_strategy,
    st.integers(100, 800),
    st.integers(0, 3_000),
    st.lists(st.integers(0, 40_000), max_size=8),
)
def test_it_makes_no_difference_how_late_the_table_is(bets, crash_point, extra, moments) -> None:
    """Paid target by target in time, or now and then, or all at the end: the same targets, the same end,
    and never more than the table may lose."""
    liability_max = sum(stake for stake, _ in bets.values()) + extra

    def played(times) -> tuple[list[str], Ending]:
        open_bets, profits, paid = dict(bets), 0, []
        for now_ms in (*sorted(times), LATE):
            present = course(open_bets, crash_point, liability_max, profits)
            for auto, user in present.targets[: present.standing(now_ms).due]:
                stake, _ = open_bets.pop(user)
                profits += payout(stake, auto) - stake
                paid.append(user)
        end = course(open_bets, crash_point, liability_max, profits).standing(LATE).ending
        if end.forced:
            profits += sum(payout(stake, end.multiplier) - stake for stake, _ in open_bets.values())
        assert profits <= liability_max
        return paid, end

    in_time = [1_000 + elapsed_until(auto) for _, auto in bets.values() if auto is not None]
    assert played(in_time) == played([]) == played(1_000 + moment for moment in moments)


@given(bets_strategy, st.integers(100, 800), st.integers(0, 3_000))
def test_the_end_is_never_brought_forward(bets, crash_point, extra) -> None:
    liability_max = sum(stake for stake, _ in bets.values()) + extra
    present = course(bets, crash_point, liability_max)
    endings = [present.standing(now_ms).ending for now_ms in (*range(0, 40_000, 2_000), LATE)]
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(endings))
    assert forced_limit(sum(stake for stake, _ in bets.values()), 0, liability_max) >= 200


@given(st.integers(0, 30_000))
def test_before_the_end_the_work_does_not_depend_on_the_crash_point(now_ms) -> None:
    """Or the time that an answer takes would tell of it."""
    bets = {f"u{number}": (10, 101 + number) for number in range(400)}

    def work(crash_point: int, now_ms: int) -> int:
        asked = []
        present = course(bets, crash_point, 5_000)
        present = present._replace(stake_of=lambda user: asked.append(user) or present_stake(user))
        present.standing(now_ms)
        present.ahead()
        return len(asked)

    def present_stake(user: str) -> int:
        return bets[user][0]

    reached = multiplier_at(max(0, now_ms - 1_000))
    assert work(reached + 1, now_ms) == work(10**8, now_ms)
    assert work(10**8, LATE) > 0
