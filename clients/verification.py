"""Verify outcomes offline, trusting nothing but what the player was told and when.

An independent implementation of the published scheme: it shares no code with the server, needs
no connection, and uses nothing but the standard library.

The scheme. Before the first play the house publishes ``SHA-256(server seed)`` (in every result:
``server_seed_hash``). A play takes its draws from ``HMAC-SHA256(key = server seed, message =
"client_seed:nonce:cursor")`` with the cursor counting from 0; each output gives eight draws of
four bytes, big-endian. A choice among n takes one draw modulo n, after rejecting the draws at or
above the largest multiple of n. The nonce counts plays under one server seed. When the player
rotates the server seed, the old one is revealed, and every play under it can be checked.

Crash has one chain of hashes for all players. Before its first round the house publishes the chain's
*terminating hash* and a *salt*. After each round it reveals the round's hash, whose SHA-256 is the
hash of the round before, and that of the first round is the terminating hash: so every hash was fixed
before anyone bet. The round's crash point is floor(99 / (1 - X)) hundredths, at least 100, where X is
the first 52 bits of ``HMAC-SHA256(key = salt as text, message = the 32 bytes of the hash)`` as a
fraction of 2^52.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_DRAW_VALUES = 1 << 32


@dataclass(frozen=True)
class SlotMachine:
    """A published machine. ``paytable``: the first line that matches pays; ``None`` matches any symbol."""

    reels: tuple[tuple[str, ...], ...]
    paytable: tuple[tuple[tuple[str | None, ...], int], ...]

    def multiplier(self, symbols: tuple[str, ...]) -> int:
        for line, multiplier in self.paytable:
            if all(wanted is None or wanted == shown for wanted, shown in zip(line, symbols, strict=True)):
                return multiplier
        return 0


def _reel(strip: str) -> tuple[str, ...]:
    return tuple(strip.split())


SLOT_MACHINES: Mapping[str, SlotMachine] = {
    "classic": SlotMachine(
        reels=(
            _reel(
                "lemon orange plum lemon cherry bell lemon bar orange plum lemon lemon cherry orange seven "
                "lemon plum bell lemon orange cherry lemon plum bar orange lemon bell lemon plum cherry "
                "orange lemon"
            ),
            _reel(
                "lemon lemon plum orange lemon cherry bell lemon plum bar lemon orange lemon plum cherry "
                "lemon orange bell seven plum lemon lemon cherry orange plum lemon bar lemon bell plum "
                "orange cherry"
            ),
            _reel(
                "orange lemon cherry lemon orange plum lemon bar lemon bell orange cherry lemon plum lemon "
                "orange lemon plum bar bell lemon orange cherry seven lemon plum lemon orange lemon bar "
                "bell plum"
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
    ),
}
"""Machines as published. A published machine never changes; a changed one has a new name."""


@dataclass(frozen=True)
class Verification:
    """What came of it. ``problems`` says in words what does not agree; none means fair."""

    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def commitment(server_seed: str) -> str:
    """What must have been published for this server seed (hex): its SHA-256, in hex.

    Raises:
        ValueError: not hexadecimal.
    """
    return hashlib.sha256(bytes.fromhex(server_seed)).hexdigest()


def draws(server_seed: str, client_seed: str, nonce: int) -> Iterator[int]:
    """The draws of one play, each in 0 … 2^32 - 1."""
    key = bytes.fromhex(server_seed)
    cursor = 0
    while True:
        digest = hmac.new(key, f"{client_seed}:{nonce}:{cursor}".encode(), hashlib.sha256).digest()
        for start in range(0, len(digest), 4):
            yield int.from_bytes(digest[start : start + 4], "big")
        cursor += 1


def choose(source: Iterator[int], count: int) -> int:
    """A uniform choice in 0 … ``count`` - 1, by rejection."""
    limit = _DRAW_VALUES // count * count
    while True:
        draw = next(source)
        if draw < limit:
            return draw % count


def verify_slots(
    result: Mapping[str, Any], server_seed: str, published_hash: str | None = None
) -> Verification:
    """Check one result of ``spin_slots`` against the server seed that was revealed later.

    Args:
        result: the result, as it came.
        server_seed: ``revealed_server_seed`` of ``rotate_server_seed``, in hex.
        published_hash: the hash you noted before you chose your client seed. Without it, the
            result's own ``server_seed_hash`` is taken, which proves less.
    """
    machine = SLOT_MACHINES.get(str(result.get("machine")))
    if machine is None:
        return Verification((f"unknown machine {result.get('machine')!r}",))
    problems = []
    try:
        seed_hash = commitment(server_seed)
        source = draws(server_seed, str(result["client_seed"]), int(result["nonce"]))
        stops = [choose(source, len(reel)) for reel in machine.reels]
    except (ValueError, KeyError) as error:
        return Verification((f"cannot be verified: {error!r}",))
    symbols = tuple(reel[stop] for reel, stop in zip(machine.reels, stops, strict=True))
    multiplier = machine.multiplier(symbols)
    if published_hash is not None and published_hash != seed_hash:
        problems.append("the server seed is not the one whose hash was published")
    for name, expected in (
        ("server_seed_hash", seed_hash),
        ("stops", stops),
        ("symbols", list(symbols)),
        ("multiplier", multiplier),
        ("payout", multiplier * int(result.get("stake", 0))),
    ):
        told = result.get(name)
        if (list(told) if isinstance(told, list | tuple) else told) != expected:
            problems.append(f"{name} is {told!r}, and should be {expected!r}")
    return Verification(tuple(problems))


def verify_session(
    results: Iterable[Mapping[str, Any]], server_seed: str, published_hash: str, plays: int | None = None
) -> Verification:
    """Check every slots result under one server seed, and that no play is missing among them.

    ``plays`` is what ``rotate_server_seed`` said; then nonces must be 0 … ``plays`` - 1, so that
    the house cannot have skipped an outcome it did not like.
    """
    problems: list[str] = []
    nonces: list[int] = []
    for result in results:
        nonces.append(int(result["nonce"]))
        checked = verify_slots(result, server_seed, published_hash)
        problems += [f"play {result['nonce']}: {problem}" for problem in checked.problems]
    first = 0 if plays is not None else min(nonces, default=0)
    expected = list(range(first, plays if plays is not None else first + len(nonces)))
    if sorted(nonces) != expected:
        problems.append(f"the nonces are not {first} to {len(expected) + first - 1}, each once")
    return Verification(tuple(problems))


def verify_crash_round(round_hash: str, salt: str) -> float:
    """Where a round of Crash must have crashed, such as ``1.5``.

    Args:
        round_hash: the hash that was revealed after the round, 64 hex digits.
        salt: the salt as published, in hex.

    Raises:
        ValueError: that is no such hash, or no such salt.
    """
    if not salt or not set(salt) <= set("0123456789abcdef"):
        raise ValueError(f"a salt is made of lower-case hex digits: {salt!r}")
    digest = hmac.new(salt.encode(), _crash_hash(round_hash), hashlib.sha256).hexdigest()
    bits = int(digest[:13], 16)
    one = 1 << 52
    # 99 / (1 - X) in integers: a float would round, and rarely show one hundredth too much.
    hundredths = (99 * one) // (one - bits)
    return max(hundredths, 100) / 100


def is_crash_link(round_hash: str, previous_hash: str) -> bool:
    """Whether ``previous_hash`` is what a round's hash had been fixed by: its SHA-256.

    Raises:
        ValueError: one of them is not 64 hex digits.
    """
    return walk_crash_chain(round_hash, 1) == _crash_hash(previous_hash).hex()


def verify_crash_chain(round_hash: str, rounds: int, terminating_hash: str) -> bool:
    """Whether a round's hash belongs to the chain that was published.

    Args:
        round_hash: the hash that was revealed after the round.
        rounds: which round of the chain it was, counted from 1. A million take about half a second.
        terminating_hash: as published before the chain's first round.

    Raises:
        ValueError: a hash is not 64 hex digits.
    """
    return walk_crash_chain(round_hash, rounds) == _crash_hash(terminating_hash).hex()


def walk_crash_chain(round_hash: str, rounds: int) -> str:
    """The hash of the round that was ``rounds`` before.

    Raises:
        ValueError: the hash is not 64 hex digits.
    """
    earlier = _crash_hash(round_hash)
    for _ in range(rounds):
        earlier = hashlib.sha256(earlier).digest()
    return earlier.hex()


def _crash_hash(text: str) -> bytes:
    if len(text) != 64:
        raise ValueError(f"a round's hash has 64 hex digits: {text!r}")
    return bytes.fromhex(text)
