from collections import Counter
from fractions import Fraction
from itertools import product
from math import prod

import msgspec
import pytest

from actors.games.fairness import commitment
from actors.games.slots import CLASSIC, MACHINES, Machine, return_to_player, spin

MACHINE_LIST = list(MACHINES.values())


def test_classic_returns_exactly_this_much() -> None:
    assert return_to_player(CLASSIC) == Fraction(31303, 32768)


@pytest.mark.parametrize("machine", MACHINE_LIST, ids=lambda machine: machine.name)
def test_return_to_player_is_sensible(machine: Machine) -> None:
    assert Fraction(94, 100) <= return_to_player(machine) <= Fraction(97, 100)


@pytest.mark.parametrize("machine", MACHINE_LIST, ids=lambda machine: machine.name)
def test_enumeration_agrees_with_spinning_every_combination_once(machine: Machine) -> None:
    seen = set()
    paid = 0
    for stops in product(*(range(len(reel)) for reel in machine.reels)):
        outcome = spin(machine, 3, iter(stops))
        assert outcome.payout == 3 * outcome.multiplier
        seen.add(outcome.stops)
        paid += outcome.payout
    assert len(seen) == prod(len(reel) for reel in machine.reels)
    assert Fraction(paid, 3 * len(seen)) == return_to_player(machine)


def test_return_to_player_by_symbol_frequencies() -> None:
    """The paytable of ``classic`` worked out by hand from how often each symbol is on each reel."""
    first, second, third = (Counter(reel) for reel in CLASSIC.reels)
    triples = {"seven": 1000, "bar": 200, "bell": 100, "plum": 30, "orange": 20, "cherry": 20, "lemon": 5}
    paid = sum(pay * first[symbol] * second[symbol] * third[symbol] for symbol, pay in triples.items())
    paid += 5 * first["cherry"] * second["cherry"] * (32 - third["cherry"])
    paid += 2 * first["cherry"] * (32 - second["cherry"]) * 32
    assert return_to_player(CLASSIC) == Fraction(paid, 32**3)


def test_machines_are_sound() -> None:
    for name, machine in MACHINES.items():
        assert name == machine.name
        assert len(machine.reels) >= 3
        assert 1 <= machine.stake_min <= machine.stake_max
        assert all(isinstance(multiplier, int) and multiplier >= 1 for _, multiplier in machine.paytable)
        assert machine.multiplier_max == max(multiplier for _, multiplier in machine.paytable)


def test_the_first_matching_pattern_pays() -> None:
    toy = Machine("toy", (("a", "b"),) * 3, ((("a", "a", "a"), 7), (("a", None, None), 2)), 1, 1)
    assert spin(toy, 1, iter((0, 0, 0))).multiplier == 7
    assert spin(toy, 1, iter((0, 1, 0))).multiplier == 2
    assert spin(toy, 1, iter((1, 0, 0))).multiplier == 0
    assert return_to_player(toy) == Fraction(7 + 3 * 2, 8)


@pytest.mark.parametrize("stake", [0, -1, 1.5, 1.0, True, "10", None, 1_000_000_001, 2**63])
def test_a_stake_that_is_no_stake_is_refused_at_the_door(ann, stake) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("spin_slots", stake=stake)


def test_unknown_fields_are_refused(ann) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("spin_slots", stake=1, payout=1_000)


def test_rejections(ann) -> None:
    assert ann.rejection("spin_slots", stake=1, machine="atlantis").code == "unknown_machine"
    assert ann.rejection("spin_slots", stake=10_001).code == "stake_out_of_range"
    ann.give("send_gift", to_user="ben", amount=9_995)
    assert ann.rejection("spin_slots", stake=6).code == "insufficient_funds"
    assert ann.give("spin_slots", stake=5).reply.stake == 5


def test_a_purse_too_full_for_the_best_outcome_is_refused_before_the_draw(ann) -> None:
    room = 10 * 1_000 - 10
    ann.ledger["faucet:test"] -= 2**53 - 1 - room + 1 - ann.state.gold
    ann.state.gold = 2**53 - 1 - room + 1
    ann.ledger["player:ann"] = ann.state.gold
    assert ann.rejection("spin_slots", stake=10).code == "gold_limit"
    assert ann.give("spin_slots", stake=9).reply.nonce == 0


def test_the_result_says_what_verifies_it(ann) -> None:
    ann.give("set_client_seed", client_seed="my-luck")
    results = [ann.give("spin_slots", stake=10).reply for _ in range(5)]
    assert [result.nonce for result in results] == [0, 1, 2, 3, 4]
    assert {result.client_seed for result in results} == {"my-luck"}
    assert {result.server_seed_hash for result in results} == {commitment(ann.state.server_seed)}
    for result in results:
        assert result.symbols == tuple(
            reel[stop] for reel, stop in zip(CLASSIC.reels, result.stops, strict=True)
        )


def spin_until(ann, wins: bool):
    while True:
        decision = ann.give("spin_slots", stake=10)
        if (decision.reply.payout > 0) == wins:
            return decision


def test_a_loss_moves_the_stake_to_the_house(ann) -> None:
    decision = spin_until(ann, wins=False)
    assert [tuple(transfer[:3]) for transfer in decision.transfers] == [("player:ann", "house:slots", 10)]


def test_a_win_moves_stake_and_payout(ann) -> None:
    decision = spin_until(ann, wins=True)
    assert [tuple(transfer[:3]) for transfer in decision.transfers] == [
        ("player:ann", "house:slots", 10),
        ("house:slots", "player:ann", decision.reply.payout),
    ]


def test_pushes_of_a_spin(ann) -> None:
    decision = ann.give("spin_slots", stake=25)
    payout = decision.reply.payout
    assert [push.type for push in decision.pushes] == ["profile_update", "stats_update", "user_action"]
    assert ann.pushed(decision) == {
        "profile_update": {"changes": {"gold_balance": ann.state.gold, "exp": 15}},
        "stats_update": {
            "stats": {
                "game_type": "slots",
                "plays": 1,
                "wins": int(payout > 25),
                "losses": int(payout < 25),
                "ev": float(payout - 25),
            }
        },
        "user_action": {
            "action_type": "spin_slots",
            "context": {"machine": "classic", "stake": 25, "payout": payout},
            "server_ts": ann.now_ms,
        },
    }


def test_a_new_level_is_pushed_once(ann) -> None:
    levels = [
        ann.pushed(ann.give("spin_slots", stake=1))["profile_update"]["changes"].get("level")
        for _ in range(30)
    ]
    # 11 experience a spin: level 2 begins at 100, level 3 at 300.
    assert [(number + 1, level) for number, level in enumerate(levels) if level] == [(10, 2), (28, 3)]
    assert ann.state.level == 3
