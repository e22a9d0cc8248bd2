"""The game of the baselines: as much arithmetic as the casino's slots, and an answer of the same size.

Pure. Owns no durability and no balance but the one it is given.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

WELCOME_GOLD = 10_000
STAKE_MAX = 10_000
INSUFFICIENT_FUNDS = "insufficient_funds"
INVALID_DATA = "invalid_data"

_STOPS = 32
_STRIP = (
    *("lemon",) * 12, *("orange",) * 7, *("plum",) * 5, *("cherry",) * 4, *("bell",) * 2, "bar", "seven",
)  # fmt: skip
_TRIPLES = {"seven": 1000, "bar": 200, "bell": 100, "plum": 30, "orange": 20, "cherry": 20, "lemon": 5}
_CHERRIES = (0, 2, 5)
"""What one and two cherries from the left pay."""


class Refused(Exception):
    """The command cannot be carried out; ``args`` are the code on the wire and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class SpinSlots(msgspec.Struct, gc=False):
    stake: int


class Player(msgspec.Struct, gc=False):
    """What a spin depends on. ``streak`` is how many of the latest spins in a row were won."""

    gold: int
    streak: int
    nonce: int
    server_seed: bytes
    client_seed: str


class Spun(msgspec.Struct, gc=False):
    """The answer, field by field as the casino's."""

    machine: str
    stake: int
    stops: tuple[int, int, int]
    symbols: tuple[str, str, str]
    multiplier: int
    payout: int
    gold_balance: int
    server_seed_hash: str
    client_seed: str
    nonce: int


def spin(player: Player, stake: int) -> Spun:
    """One spin, drawn from the player's seeds and nonce as the casino draws it. Changes nothing.

    Raises:
        Refused: the stake is out of range, or more than the player has.
    """
    if not 1 <= stake <= STAKE_MAX:
        raise Refused(INVALID_DATA, f"the stake is 1 to {STAKE_MAX}")
    if stake > player.gold:
        raise Refused(INSUFFICIENT_FUNDS, f"This takes {stake} gold; you have {player.gold}.")
    drawn = hmac.digest(player.server_seed, f"{player.client_seed}:{player.nonce}".encode(), "sha256")
    stops = (drawn[0] % _STOPS, drawn[1] % _STOPS, drawn[2] % _STOPS)
    symbols = (_STRIP[stops[0]], _STRIP[stops[1]], _STRIP[stops[2]])
    multiplier = multiplier_of(symbols)
    payout = stake * multiplier
    return Spun(
        "classic",
        stake,
        stops,
        symbols,
        multiplier,
        payout,
        player.gold - stake + payout,
        hashlib.sha256(player.server_seed).hexdigest(),
        player.client_seed,
        player.nonce,
    )


def streak_after(player: Player, spun: Spun) -> int:
    return player.streak + 1 if spun.payout > spun.stake else 0


def multiplier_of(symbols: tuple[str, str, str]) -> int:
    first, second, third = symbols
    if first == second == third:
        return _TRIPLES[first]
    cherries = 0 if first != "cherry" else 1 if second != "cherry" else 2
    return _CHERRIES[cherries]
