"""Slots: machines, their exact mathematics, and the feature that lets a session play them.

The first half is pure mathematics (``spin``, ``return_to_player``); a second machine is one entry
in ``MACHINES``. Every stop of a reel is equally likely: a symbol weighs as often as it is on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from math import prod
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from actors.feature import Command, Event, Feature
from actors.games.fairness import below, commitment, draws
from actors.play import STAKE_OUT_OF_RANGE, Played, apply_play, check_stake, settle
from actors.pushes import UserAction
from actors.roles import stake_limit
from actors.session_state import SessionState
from actors.wallet import GOLD_LIMIT, INSUFFICIENT_FUNDS
from runtime.behavior import CommandSpec, Context, Decision
from runtime.errors import Rejected

Pattern = tuple[str | None, ...]
"""One symbol per reel; ``None`` matches any."""


@dataclass(frozen=True)
class Machine:
    """``paytable`` is read from the top: the first pattern that matches pays its multiplier.

    A published machine must not change, or past outcomes could no longer be verified: a changed
    one gets a new name.
    """

    name: str
    reels: tuple[tuple[str, ...], ...]
    paytable: tuple[tuple[Pattern, int], ...]
    stake_min: int
    stake_max: int
    """For the role STANDARD; other roles may stake more, of which the outcome knows nothing."""
    multipliers: Mapping[tuple[str, ...], int] = field(init=False, repr=False, compare=False)
    """The multiplier of each winning line; one look-up instead of a walk through the paytable."""
    multiplier_max: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = product(*(dict.fromkeys(reel) for reel in self.reels))
        paid = {line: multiplier for line in lines if (multiplier := self._pays(line))}
        object.__setattr__(self, "multipliers", paid)
        object.__setattr__(self, "multiplier_max", max(paid.values()))

    def _pays(self, line: tuple[str, ...]) -> int:
        for pattern, multiplier in self.paytable:
            if all(wanted in (None, symbol) for wanted, symbol in zip(pattern, line, strict=True)):
                return multiplier
        return 0


class Outcome(NamedTuple):
    stops: tuple[int, ...]
    """Position on each reel, from 0."""
    symbols: tuple[str, ...]
    multiplier: int
    payout: int
    """``stake * multiplier``; the stake itself is not returned on top."""


def spin(machine: Machine, stake: int, source: Iterator[int]) -> Outcome:
    """One spin; takes one uniform choice per reel from ``source``, left to right."""
    stops = []
    symbols = []
    for reel in machine.reels:
        stop = below(source, len(reel))
        stops.append(stop)
        symbols.append(reel[stop])
    line = tuple(symbols)
    multiplier = machine.multipliers.get(line, 0)
    return Outcome(tuple(stops), line, multiplier, stake * multiplier)


def return_to_player(machine: Machine) -> Fraction:
    """The exact expected payout of one unit of stake, summed over every combination of stops."""
    paid = sum(machine.multipliers.get(symbols, 0) for symbols in product(*machine.reels))
    return Fraction(paid, prod(len(reel) for reel in machine.reels))


def _reel(strip: str) -> tuple[str, ...]:
    return tuple(strip.split())


CLASSIC = Machine(
    name="classic",
    reels=(
        _reel(
            "lemon orange plum lemon cherry bell lemon bar orange plum lemon lemon cherry orange seven lemon "
            "plum bell lemon orange cherry lemon plum bar orange lemon bell lemon plum cherry orange lemon"
        ),
        _reel(
            "lemon lemon plum orange lemon cherry bell lemon plum bar lemon orange lemon plum cherry lemon "
            "orange bell seven plum lemon lemon cherry orange plum lemon bar lemon bell plum orange cherry"
        ),
        _reel(
            "orange lemon cherry lemon orange plum lemon bar lemon bell orange cherry lemon plum lemon "
            "orange lemon plum bar bell lemon orange cherry seven lemon plum lemon orange lemon bar bell plum"
        ),
    ),
    paytable=(
        (("seven", "seven", "seven"), 1000),
        (("bar", "bar", "bar"), 200),
        (("bell", "bell", "bell"), 100),
        (("plum", "plum", "plum"), 30),
        (("orange", "orange", "orange"), 20),
        (("cherry", "cherry", "cherry"), 20),
        (("lemon", "lemon", "lemon"), 5),
        (("cherry", "cherry", None), 5),
        (("cherry", None, None), 2),
    ),
    stake_min=1,
    stake_max=10_000,
)

MACHINES: dict[str, Machine] = {machine.name: machine for machine in (CLASSIC,)}

GAME = "slots"
UNKNOWN_MACHINE = "unknown_machine"


class SpinSlots(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    stake: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    machine: Annotated[str, Meta(min_length=1, max_length=32)] = "classic"


class SlotsResult(msgspec.Struct, frozen=True, gc=False):
    """The last three fields, and the server seed once it is revealed, verify the outcome."""

    machine: str
    stake: int
    stops: tuple[int, ...]
    symbols: tuple[str, ...]
    multiplier: int
    payout: int
    gold_balance: int
    server_seed_hash: str
    client_seed: str
    nonce: int


class SlotsSpun(Played, frozen=True, gc=False, tag="slots_spun"):
    machine: str
    stops: tuple[int, ...]


def _spin_slots(state: SessionState, command: SpinSlots, context: Context) -> Decision:
    machine = MACHINES.get(command.machine)
    if machine is None:
        raise Rejected(f"There is no slot machine {command.machine!r}.", UNKNOWN_MACHINE)
    stake = command.stake
    stake_max = stake_limit(state.role, machine.stake_max)
    if not machine.stake_min <= stake <= stake_max:
        raise Rejected(
            f"The machine {machine.name!r} takes stakes of {machine.stake_min} to {stake_max}.",
            STAKE_OUT_OF_RANGE,
        )
    check_stake(state, stake, stake * machine.multiplier_max)
    outcome = spin(machine, stake, draws(state.server_seed, state.client_seed, state.nonce))
    action = _action(machine.name, stake, outcome.payout, context.now_ms)
    settled = settle(state, GAME, stake, outcome.payout, action)
    return Decision(
        reply=SlotsResult(
            machine.name,
            stake,
            outcome.stops,
            outcome.symbols,
            outcome.multiplier,
            outcome.payout,
            settled.gold_after,
            commitment(state.server_seed),
            state.client_seed,
            state.nonce,
        ),
        events=(
            SlotsSpun(
                context.now_ms,
                GAME,
                stake,
                outcome.payout,
                settled.gold_after,
                settled.exp_after,
                settled.level_after,
                state.nonce,
                machine.name,
                outcome.stops,
            ),
        ),
        pushes=settled.pushes,
        transfers=settled.transfers,
    )


def _action(machine: str, stake: int, payout: int, at_ms: int) -> UserAction:
    return UserAction("spin_slots", {"machine": machine, "stake": stake, "payout": payout}, at_ms)


def _slots_spun(state: SessionState, event: SlotsSpun) -> None:
    apply_play(state, event, _action(event.machine, event.stake, event.payout, event.at_ms))


SLOTS = Feature(
    name=GAME,
    commands=(
        Command(
            CommandSpec(
                "spin_slots",
                SpinSlots,
                SlotsResult,
                "Spin a slot machine once.",
                errors=(UNKNOWN_MACHINE, STAKE_OUT_OF_RANGE, INSUFFICIENT_FUNDS, GOLD_LIMIT),
            ),
            _spin_slots,
        ),
    ),
    events=(Event(SlotsSpun, _slots_spun),),
)
