import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.play import Played, Scored, apply_play, apply_score, check_stake, score, settle
from actors.pushes import UserAction
from actors.session_state import GameRecord, SessionState
from actors.wallet import GOLD_MAX
from runtime.errors import Rejected

ACTION = UserAction("test", {}, 1)

plays = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 300)), max_size=30)


@given(plays)
def test_statistics_and_balance_add_up(every) -> None:
    state = SessionState("ann", gold=100_000)
    for nonce, (stake, payout) in enumerate(every):
        check_stake(state, stake, payout)
        settled = settle(state, "rps", stake, payout, ACTION)
        apply_play(state, Played(1, "rps", stake, payout, *settled[:3], nonce), ACTION)
    if not every:
        assert state.games == {}
        return
    assert state.games["rps"] == GameRecord(
        plays=len(every),
        wins=sum(payout > stake for stake, payout in every),
        losses=sum(payout < stake for stake, payout in every),
        wagered=sum(stake for stake, _ in every),
        won=sum(payout for _, payout in every),
    )
    assert state.gold == 100_000 + sum(payout - stake for stake, payout in every)
    assert state.nonce == len(every)


def test_a_tie_is_neither_won_nor_lost() -> None:
    state = SessionState("ann", gold=100)
    settled = settle(state, "rps", 10, 10, ACTION)
    statistics = settled.pushes[1].data.stats
    assert (statistics.plays, statistics.wins, statistics.losses, statistics.ev) == (1, 0, 0, 0.0)


def test_the_stake_is_checked_before_anything_is_drawn() -> None:
    with pytest.raises(Rejected, match="insufficient_funds"):
        check_stake(SessionState("ann", gold=9), 10, 0)
    with pytest.raises(Rejected, match="gold_limit"):
        check_stake(SessionState("ann", gold=GOLD_MAX), 10, 11)
    check_stake(SessionState("ann", gold=GOLD_MAX), 10, 10)


def test_settling_changes_nothing_by_itself() -> None:
    state = SessionState("ann", gold=100)
    settle(state, "rps", 10, 20, ACTION)
    assert state == SessionState("ann", gold=100)


def test_a_play_whose_gold_went_other_ways_is_scored_all_the_same() -> None:
    state = SessionState("ann", gold=90, nonce=7)
    settled = score(state, "crash", 10, 15, ACTION, 105, [])
    assert (settled.gold_after, settled.transfers) == (105, [])
    assert [push.type for push in settled.pushes] == ["profile_update", "stats_update", "user_action"]
    assert state == SessionState("ann", gold=90, nonce=7)
    apply_score(state, Scored(1, "crash", 10, 15, *settled[:3]), ACTION)
    assert (state.gold, state.exp, state.nonce) == (105, settled.exp_after, 7)
    assert state.games["crash"] == GameRecord(plays=1, wins=1, wagered=10, won=15)
