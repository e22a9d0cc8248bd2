import hashlib
import random
from typing import Any

import pytest

from actors.games.fairness import commitment as house_commitment
from actors.games.fairness import draws as house_draws
from actors.games.slots import CLASSIC, spin
from clients.verification import SLOT_MACHINES, choose, commitment, draws, verify_session, verify_slots

SEED = bytes(range(32))


def played(nonce: int, stake: int = 3, client_seed: str = "lucky") -> dict[str, Any]:
    """What the house would answer, by the house's own code."""
    outcome = spin(CLASSIC, stake, house_draws(SEED, client_seed, nonce))
    return {
        "machine": "classic",
        "stake": stake,
        "stops": list(outcome.stops),
        "symbols": list(outcome.symbols),
        "multiplier": outcome.multiplier,
        "payout": outcome.payout,
        "server_seed_hash": house_commitment(SEED),
        "client_seed": client_seed,
        "nonce": nonce,
    }


def test_the_published_machine_is_the_one_in_the_house() -> None:
    assert SLOT_MACHINES["classic"].reels == CLASSIC.reels
    assert SLOT_MACHINES["classic"].paytable == CLASSIC.paytable


def test_both_implementations_agree() -> None:
    house = house_draws(SEED, "client", 7)
    ours = draws(SEED.hex(), "client", 7)
    assert [next(ours) for _ in range(50)] == [next(house) for _ in range(50)]
    assert commitment(SEED.hex()) == hashlib.sha256(SEED).hexdigest()


def test_honest_outcomes_are_confirmed() -> None:
    for nonce in range(300):
        assert verify_slots(played(nonce), SEED.hex(), house_commitment(SEED)).ok


@pytest.mark.parametrize(
    "change",
    [
        {"payout": 1_000_000},
        {"stops": [0, 0, 0]},
        {"symbols": ["seven", "seven", "seven"]},
        {"multiplier": 7},
        {"nonce": 6},
        {"client_seed": "other"},
        {"server_seed_hash": "00" * 32},
        {"machine": "rigged"},
    ],
)
def test_a_lie_is_found(change: dict[str, Any]) -> None:
    assert not verify_slots({**played(5), **change}, SEED.hex()).ok


def test_another_seed_than_the_published_one_is_found() -> None:
    other = bytes(32)
    told = {**played(5), "server_seed_hash": house_commitment(other)}
    assert not verify_slots(told, SEED.hex(), house_commitment(other)).ok
    assert not verify_slots(played(5), "not hex").ok
    assert not verify_slots({"machine": "classic"}, SEED.hex()).ok


def test_choices_are_not_biased() -> None:
    # With modulo alone, the draw 2^32 - 1 would give 0 among 3 once too often.
    assert choose(iter([2**32 - 1, 5]), 3) == 2
    generator = random.Random(1)
    counts = [0, 0, 0]
    for _ in range(3000):
        counts[choose(iter([generator.getrandbits(32) for _ in range(4)]), 3)] += 1
    assert min(counts) > 900


def test_a_session_without_a_missing_play() -> None:
    results = [played(nonce) for nonce in range(20)]
    published = house_commitment(SEED)
    assert verify_session(results, SEED.hex(), published, plays=20).ok
    assert verify_session(results[5:9], SEED.hex(), published).ok
    assert not verify_session(results[:3] + results[4:], SEED.hex(), published, plays=20).ok
    assert not verify_session(results[:3] + results[2:], SEED.hex(), published).ok
    assert not verify_session([{**results[0], "payout": 9}], SEED.hex(), published).ok
