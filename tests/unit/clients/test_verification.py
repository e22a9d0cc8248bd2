import hashlib
import random
from typing import Any

import pytest

from actors.games.crash import as_float
from actors.games.crash import crash_point as house_crash_point
from actors.games.fairness import commitment as house_commitment
from actors.games.fairness import draws as house_draws
from actors.games.slots import CLASSIC, spin
from clients.verification import (
    SLOT_MACHINES,
    choose,
    commitment,
    draws,
    is_crash_link,
    verify_crash_chain,
    verify_crash_round,
    verify_session,
    verify_slots,
    walk_crash_chain,
)

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


# Published rounds of another house that uses the scheme; see tests/unit/actors/games/test_crash.py.
CRASH_SALT = "00000000000000000001e08b7fd44f95e3e950ac65650a8031a6d5e1750e34be"
CRASH_ROUNDS = (
    ("8d3b9726ca7bc5e3637bf2079e09eaf2a9d67df4e6f50ff23a7b593bd802cca6", 1.83),
    ("94e66d98029c61ecd27c4fb6b381d401c823cf3dfbdac9246756d5b655e125aa", 4.26),
    ("94aa062026624e59a0ace092568d5f46e21b9bf1d5173609db8645dd62bdfc44", 10.91),
)


def test_published_rounds_of_crash() -> None:
    for round_hash, crash_point in CRASH_ROUNDS:
        assert verify_crash_round(round_hash, CRASH_SALT) == crash_point
    first, second, third = (round_hash for round_hash, _ in CRASH_ROUNDS)
    assert is_crash_link(second, first)
    assert not is_crash_link(third, first)
    assert verify_crash_chain(third, 2, first)
    assert not verify_crash_chain(third, 1, first)
    assert walk_crash_chain(third, 0) == third


def test_both_implementations_of_crash_agree() -> None:
    for number in range(2000):
        round_hash = hashlib.sha256(b"%d" % number).digest()
        salt = hashlib.sha256(b"salt %d" % (number % 7)).hexdigest()
        told = as_float(house_crash_point(round_hash, salt))
        assert verify_crash_round(round_hash.hex(), salt) == told


@pytest.mark.parametrize(
    ("round_hash", "salt"), [("ab" * 31, "00"), ("zz" * 32, "00"), ("ab" * 32, ""), ("ab" * 32, "AB")]
)
def test_what_is_no_round_of_crash(round_hash: str, salt: str) -> None:
    with pytest.raises(ValueError, match=r"hex"):
        verify_crash_round(round_hash, salt)
