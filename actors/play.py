"""What every game has in common: stake, payout, experience, statistics.

A game of a single turn checks the stake, computes its payout and lets this module settle it; the
event it records extends :class:`Played`. A game whose gold has gone other ways only has its outcome
scored, and extends :class:`Scored`. Owns no rule of any game.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from actors import progress, pushes, wallet
from actors.actions import remember
from actors.pushes import GameStatistics, UserAction
from actors.session_state import GameRecord, SessionState, average_net
from runtime.behavior import Push, Transfer

STAKE_OUT_OF_RANGE = "stake_out_of_range"

_NEVER_PLAYED = GameRecord()


class Scored(msgspec.Struct, frozen=True, gc=False):
    """The fields every play records, whatever the game. Subclasses add a tag and what is theirs."""

    at_ms: int
    game: str
    stake: int
    payout: int
    gold_after: int
    exp_after: int
    level_after: int


class Played(Scored, frozen=True, gc=False):
    """A play that was drawn from the player's server seed, under ``nonce``."""

    nonce: int


class Settlement(NamedTuple):
    gold_after: int
    exp_after: int
    level_after: int
    transfers: list[Transfer]
    pushes: list[Push]


def check_stake(state: SessionState, stake: int, payout_max: int) -> None:
    """Refuse a play before anything is drawn: the refusal must not depend on the outcome.

    Raises:
        Rejected: ``insufficient_funds``, or ``gold_limit`` when the best outcome would not fit.
    """
    wallet.check_funds(state.gold, stake)
    wallet.check_room(state.gold - stake, payout_max)


def settle(state: SessionState, game: str, stake: int, payout: int, action: UserAction) -> Settlement:
    """The consequences of a play whose stake :func:`check_stake` has passed."""
    house = wallet.house_account(game)
    staked, gold = wallet.pay(state.gold, state.user_id, house, stake, "stake")
    transfers = [staked]
    if payout:
        paid, gold = wallet.earn(gold, state.user_id, house, payout, "payout")
        transfers.append(paid)
    return score(state, game, stake, payout, action, gold, transfers)


def score(
    state: SessionState,
    game: str,
    stake: int,
    payout: int,
    action: UserAction,
    gold_after: int,
    transfers: list[Transfer],
) -> Settlement:
    """What a play comes to besides its gold, which moves by ``transfers``."""
    exp = progress.add_exp(state.exp, progress.exp_for_play(stake))
    level = progress.level_of(exp)
    record = state.games.get(game, _NEVER_PLAYED)
    plays = record.plays + 1
    statistics = GameStatistics(
        game,
        plays,
        record.wins + (payout > stake),
        record.losses + (payout < stake),
        average_net(plays, record.wagered + stake, record.won + payout),
    )
    profile = (
        pushes.profile_update(gold_after, level, exp)
        if level != state.level
        else pushes.profile_update(gold_after, exp=exp)
    )
    return Settlement(
        gold_after,
        exp,
        level,
        transfers,
        [profile, pushes.stats_update(statistics), pushes.user_action(action)],
    )


def apply_play(state: SessionState, event: Played, action: UserAction) -> None:
    """Apply the fields of :class:`Played`, in place."""
    apply_score(state, event, action)
    state.nonce = event.nonce + 1


def apply_score(state: SessionState, event: Scored, action: UserAction) -> None:
    """Apply the fields of :class:`Scored`, in place."""
    state.gold = event.gold_after
    state.exp = event.exp_after
    state.level = event.level_after
    record = record_of(state, event.game)
    stake, payout = event.stake, event.payout
    record.plays += 1
    record.wins += payout > stake
    record.losses += payout < stake
    record.wagered += stake
    record.won += payout
    remember(state, action)


def record_of(state: SessionState, game: str) -> GameRecord:
    """The player's record of a game, to be changed; made when there is none."""
    record = state.games.get(game)
    if record is None:
        record = state.games[game] = GameRecord()
    return record
