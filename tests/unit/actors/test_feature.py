"""A game from outside the house: one file with its rules, and one line that registers it."""

import msgspec

from actors.catalogue import FEATURES, GAMES
from actors.feature import Command, Event, Feature
from actors.games.fairness import below, draws
from actors.play import Played, apply_play, check_stake, settle
from actors.pushes import UserAction
from actors.session import Session
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision


class FlipCoin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stake: int


class FlipResult(msgspec.Struct, frozen=True):
    heads: bool
    tosses_without_heads: int
    gold_balance: int


class CoinFlipped(Played, frozen=True, tag="coin_flipped"):
    tosses_without_heads: int


def flip(state: SessionState, command: FlipCoin, context: Context) -> Decision:
    check_stake(state, command.stake, 2 * command.stake)
    unlucky = int.from_bytes(state.games["coin"].memory, "big") if "coin" in state.games else 0
    heads = below(draws(state.server_seed, state.client_seed, state.nonce), 2) == 1 or unlucky == 3
    payout = 2 * command.stake if heads else 0
    action = UserAction("flip_coin", {"heads": heads}, context.now_ms)
    settled = settle(state, "coin", command.stake, payout, action)
    event = CoinFlipped(
        context.now_ms, "coin", command.stake, payout, *settled[:3], state.nonce, 0 if heads else unlucky + 1
    )
    reply = FlipResult(heads, event.tosses_without_heads, settled.gold_after)
    return Decision(reply, (event,), settled.pushes, settled.transfers)


def flipped(state: SessionState, event: CoinFlipped) -> None:
    apply_play(state, event, UserAction("flip_coin", {"heads": event.payout > 0}, event.at_ms))
    state.games["coin"].memory = bytes((event.tosses_without_heads,))


COIN = Feature(
    "coin",
    commands=(
        Command(
            CommandSpec("flip_coin", FlipCoin, FlipResult, "Flip.", errors=("insufficient_funds",)), flip
        ),
    ),
    events=(Event(CoinFlipped, flipped),),
)


def test_a_new_game_is_one_file_and_one_line(new_player) -> None:
    player = new_player("ann", behavior=Session((*FEATURES, *GAMES, COIN)))
    player.give("spin_slots", stake=1)
    results = [player.give("flip_coin", stake=10).reply for _ in range(40)]
    assert {result.heads for result in results} == {True, False}
    assert max(result.tosses_without_heads for result in results) <= 3
    assert player.state.games["coin"].plays == 40
    assert player.state.nonce == 41
    assert player.replayed() == player.restored() == player.state
    assert set(player.behavior.view(player.state).stats) == {"coin", "slots"}
