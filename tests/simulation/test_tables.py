"""That the workload of Crash is one, and that its judges can count."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest

from actors.games import crash as house
from runtime.stream import Failure
from tests.simulation.scenario import scenario
from tests.simulation.tables import crash_point, tables_of
from tests.simulation.world import World

SEEDS = (21, 32, 37, 61)


def test_the_contract_and_the_house_agree() -> None:
    for number in range(300):
        round_hash, salt = sha256(bytes([number % 256, number // 256])).digest(), f"{number:064x}"
        assert crash_point(round_hash, salt) == house.crash_point(round_hash, salt)


@pytest.mark.parametrize("seed", range(20))
def test_chains_link_and_end_soon(seed: int) -> None:
    for table in tables_of(seed):
        chain = table.chain
        assert len(chain.hashes) == table.rounds + 1
        for earlier, later in zip(chain.hashes, chain.hashes[1:], strict=False):
            assert sha256(later).digest() == earlier
        assert max(chain.crash_points) <= table.crash_point_max


def test_every_way_out_of_a_bet_is_taken() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        world = World(scenario(seed))
        assert not world.run().violations
        for book in world.checks.tables.books.values():
            for ended in book.ended.values():
                seen[ended["ended"]] += 1
                seen["instant"] += ended["crash_point"] == 1.0
            for bet in book.bets.values():
                seen["by hand" if bet.is_by_hand else "lost" if bet.multiplier is None else "target"] += 1
        for invocation in world.history.invocations:
            answer = invocation.answer
            if "crash" in invocation.name:
                code = answer.code if isinstance(answer, Failure) else "result"
                seen[f"{invocation.name} {code}"] += 1
    for happening in (
        "crashed",
        "forced",
        "instant",
        "by hand",
        "lost",
        "target",
        "place_crash_bet result",
        "place_crash_bet betting_closed",
        "place_crash_bet bet_already_placed",
        "cash_out_crash result",
        "cash_out_crash round_over",
        "cash_out_crash no_open_bet",
        "get_crash_bets result",
        "get_crash_history result",
    ):
        assert seen[happening], happening
