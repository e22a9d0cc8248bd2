"""The Crash tables of a world: their rules, their chains of few and short rounds, their plan of bets.

Draws from generators of its own, so that a world without tables is what it would be without this file.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from hmac import digest
from random import Random
from typing import Any, NamedTuple

from actors.crash.hashes import ChainExhausted, ChainFacts
from actors.crash.messages import KIND
from actors.crash.round import TableRules
from actors.games.crash import elapsed_until
from actors.games.hash_chain import HashChain, generate
from runtime.identity import ActorId, actor_id

WORLDS_WITH_TABLES = 0.6
RULES = (
    TableRules(betting_ms=400, pause_ms=0, stake_max=5_000),
    TableRules(betting_ms=1_000, pause_ms=300, stake_max=5_000),
    TableRules(betting_ms=2_000, pause_ms=1_000, stake_max=5_000, bets_max=2),
    TableRules(betting_ms=1_500, pause_ms=300, stake_min=5, stake_max=5_000, liability_max=300),
)
"""One has few seats; the last may owe so little that rounds are forced to end, at 2.00× or later."""
TABLE_FAULTS = ("table_crash", "table_lost", "table_pause", "table_superseded", "table_cut")


class Table(NamedTuple):
    """``salt`` is chosen so that no round goes beyond ``crash_point_max``."""

    name: str
    rules: TableRules
    rounds: int
    seed: str
    crash_point_max: int

    @property
    def actor(self) -> ActorId:
        return actor_id(KIND, self.name)

    @property
    def host_name(self) -> str:
        return f"{KIND}-{self.name}"

    @property
    def chain(self) -> Chain:
        return _chain(self.seed, self.rounds, self.crash_point_max)


class Chain:
    """What decides the rounds of one table; round r has the hash ``hashes[r]``."""

    def __init__(self, seed: str, rounds: int, crash_point_max: int) -> None:
        kept = HashChain(generate(sha256(seed.encode()).digest(), rounds, 3))
        self.hashes = [kept.hash_at(index) for index in range(rounds + 1)]
        self.kept = kept
        salts = Random(f"{seed}/salt")
        while True:
            self.salt = salts.randbytes(32).hex()
            # The first round of a long table is long.
            least = 250 if crash_point_max > 250 else 0
            if least <= crash_point(self.hashes[1], self.salt) and all(
                crash_point(h, self.salt) <= crash_point_max for h in self.hashes[1:]
            ):
                break
        self.crash_points = [0, *(crash_point(h, self.salt) for h in self.hashes[1:])]


@lru_cache(256)
def _chain(seed: str, rounds: int, crash_point_max: int) -> Chain:
    return Chain(seed, rounds, crash_point_max)


def crash_point(round_hash: bytes, salt: str) -> int:
    """As the contract with players says it, and not as the house computes it."""
    draw = int.from_bytes(digest(salt.encode(), round_hash, "sha256"), "big") >> (256 - 52)
    return max(100, 99 * 2**52 // (2**52 - draw))


class Hashes:
    """``actors.crash.hashes.RoundHashes`` of one process: of its own table, and nobody else's."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def _index(self, table: str, round_number: int) -> int:
        if table != self._table.name:
            raise AssertionError(f"{self._table.name} asks for the hashes of {table}")
        if not 1 <= round_number <= self._table.rounds:
            raise ChainExhausted(f"{table} has no round {round_number}")
        return round_number

    def hash_of(self, table: str, round_number: int) -> bytes:
        return self._table.chain.kept.hash_at(self._index(table, round_number))

    def salt_of(self, table: str, round_number: int) -> str:
        self._index(table, round_number)
        return self._table.chain.salt

    def public(self, table: str, round_number: int) -> ChainFacts:
        chain = self._table.chain
        return ChainFacts(chain.hashes[0].hex(), chain.salt, "drawn by the simulation", 1, self._table.rounds)


class Wish(NamedTuple):
    """A step of the plan. ``after``: ``at_s`` counts from when that round came to that phase."""

    at_s: float
    client: int
    name: str
    data: dict[str, Any]
    after: tuple[str, int, str] | None = None


def tables_of(seed: int) -> tuple[Table, ...]:
    random = Random(f"{seed}/tables")
    if random.random() >= WORLDS_WITH_TABLES:
        return ()
    return tuple(_table(random, name, seed) for name in ("main", "high")[: random.choice((1, 1, 2))])


def _table(random: Random, name: str, seed: int) -> Table:
    rules = random.choice(RULES)
    is_long = rules is RULES[-1] or random.random() < 0.15
    rounds, crash_point_max = (2, 300) if is_long else random.choice(((2, 115), (3, 115), (4, 130), (5, 160)))
    return Table(name, rules, rounds, f"{seed}/{name}", crash_point_max)


def table_faults(seed: int) -> frozenset[str]:
    """Beside those that strike any host."""
    random = Random(f"{seed}/table faults")
    share = random.choice((0.0, 0.3, 0.6))
    return frozenset(fault for fault in TABLE_FAULTS if random.random() < share)


def watchers(seed: int, devices: int, tables: tuple[Table, ...]) -> dict[int, list[ActorId]]:
    """Which devices begin with which topics."""
    random = Random(f"{seed}/watchers")
    if _is_quiet(seed):
        return {}
    return {device: [table.actor for table in tables if random.random() < 0.6] for device in range(devices)}


def _is_quiet(seed: int) -> bool:
    """Nobody asks for a table before its first round."""
    return Random(f"{seed}/quiet").random() < 0.15


def wishes(
    seed: int, devices: int, callers: int, storm_s: float, tables: tuple[Table, ...]
) -> list[tuple[Wish, int | None]]:
    """Each with the place of an earlier one whose id it uses again, or None."""
    random = Random(f"{seed}/bets")
    plan: list[tuple[Wish, int | None]] = []
    for table in tables:
        for number in range(1, table.rounds + 1):
            # Two devices of one player have one bet between them.
            for device in range(devices):
                if random.random() < 0.85:
                    _round(random, plan, table, number, device)
    for _ in range(0 if _is_quiet(seed) else random.randint(5, 15) * len(tables)):
        at_s = 0.8 + random.random() * (storm_s + 4)
        name, data = _at_any_time(random, random.choice(tables))
        client = random.randrange(devices)
        if name.partition(" ")[2]:
            client = devices + random.randrange(callers) if "subscribe" not in name else client
        plan.append((Wish(at_s, client, name, data), None))
    return plan


def _round(
    random: Random, plan: list[tuple[Wish, int | None]], table: Table, number: int, device: int
) -> None:
    """What one device does in one round: a bet, perhaps a cash-out, and either of them again."""
    betting_s = table.rules.betting_ms / 1000
    crash_point = table.chain.crash_points[number]
    running_s = _seconds_until(crash_point + 1)
    betting, running = (table.name, number, "betting"), (table.name, number, "running")
    bet = {"stake": _stake(random), "table": table.name, "auto_cash_out": _auto(random, crash_point)}
    # Some come too late.
    at_s = betting_s * random.random() * (0.7 if random.random() < 0.8 else 1.2)
    _with_repeats(random, plan, Wish(at_s, device, "place_crash_bet", bet, betting))
    if random.random() < 0.3:
        # Just when something happens.
        at_s, after = random.choice(((betting_s, betting), (running_s, running)))
        at_s = max(0.0, at_s + 0.03 * (random.random() - 0.5))
        plan.append((Wish(at_s, device, f"subscribe {table.actor}", {}, after), None))
    if random.random() < 0.65:
        at_s = running_s * 1.2 * random.random()
        if random.random() < 0.3:
            at_s = max(0.0, running_s + 0.02 * (random.random() - 0.7))
        cash_out = Wish(at_s, device, "cash_out_crash", {"table": table.name}, running)
        _with_repeats(random, plan, cash_out)


def _with_repeats(random: Random, plan: list[tuple[Wish, int | None]], wish: Wish) -> None:
    place = len(plan)
    plan.append((wish, None))
    while random.random() < 0.25:
        # At once, soon, or long after.
        later_s = random.choice((0.0, 0.01, 0.3, 3.0, 20.0)) * random.random()
        again = wish._replace(at_s=wish.at_s + later_s)
        if random.random() < 0.1 and "stake" in wish.data:
            again = again._replace(data=wish.data | {"stake": wish.data["stake"] + 1})
        plan.append((again, place))


def _seconds_until(hundredths: int) -> float:
    return elapsed_until(hundredths) / 1000


def _stake(random: Random) -> int:
    return random.choice((1, 7, 50, 99, 150, 250, 300, 1_000, 5_000)) if random.random() < 0.95 else 6_000


def _auto(random: Random, crash_point: int) -> float | None:
    """Often close to where the round will crash; sometimes nothing that can be asked for."""
    if random.random() < 0.45:
        return None
    if random.random() < 0.07:
        return random.choice((1.0, 1.005, 0.0, 1_000_000.5, -2.0))
    around = max(101, crash_point + random.choice((-3, -1, 0, 1, 2)))
    return random.choice((around, around, random.randint(101, 170))) / 100


def _at_any_time(random: Random, table: Table) -> tuple[str, dict[str, Any]]:
    choice = random.random()
    if choice < 0.15:
        return "place_crash_bet", {"stake": _stake(random), "table": table.name, "auto_cash_out": None}
    if choice < 0.2:
        return "place_crash_bet", {"stake": 1, "table": "nowhere", "auto_cash_out": None}
    if choice < 0.35:
        return "cash_out_crash", {"table": table.name}
    if choice < 0.6:
        return "get_crash_bets", {}
    if choice < 0.75:
        return f"get_crash_history {table.actor}", {"limit": random.choice((1, 2, 50))}
    if choice < 0.85:
        return f"get_crash_fairness {table.actor}", {}
    return f"{random.choice(('subscribe', 'unsubscribe', 'subscribe'))} {table.actor}", {}
