import pytest

from actors.verification import verify_crash, verify_slots

SEED = "00" * 32


def test_every_spin_can_be_verified_after_the_rotation(ann) -> None:
    ann.give("set_client_seed", client_seed="mine")
    results = [ann.give("spin_slots", stake=stake).reply for stake in (1, 7, 50)]
    revealed = ann.give("rotate_server_seed").reply.revealed_server_seed
    for result in results:
        proof = verify_slots(revealed, result.client_seed, result.nonce, result.machine, result.stake)
        assert proof.server_seed_hash == result.server_seed_hash
        assert proof.outcome == (result.stops, result.symbols, result.multiplier, result.payout)


def test_the_result_is_pinned_for_ever() -> None:
    """If this fails, every outcome ever published can no longer be verified."""
    proof = verify_slots(SEED, "client", 804, "classic", 10)
    assert proof.server_seed_hash == "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    assert proof.outcome == ((14, 18, 23), ("seven", "seven", "seven"), 1000, 10_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("zz", "c", 0), "not hexadecimal"),
        (("00" * 31, "c", 0), "31 bytes"),
        ((SEED, "a:b", 0), "client seed"),
        ((SEED, "", 0), "client seed"),
        ((SEED, "c", -1), "nonce"),
        ((SEED, "c", 0, "atlantis"), "no slot machine 'atlantis'; there are: classic"),
        ((SEED, "c", 0, "classic", 0), "stake"),
    ],
)
def test_what_could_not_have_been_a_play_is_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        verify_slots(*arguments)


# A published round of another house that uses the scheme; see tests/unit/actors/games/test_crash.py.
CRASH_SALT = "00000000000000000001e08b7fd44f95e3e950ac65650a8031a6d5e1750e34be"
CRASH_HASH = "94aa062026624e59a0ace092568d5f46e21b9bf1d5173609db8645dd62bdfc44"


def test_a_round_of_crash_is_proved_by_its_hash() -> None:
    proof = verify_crash(CRASH_SALT, CRASH_HASH)
    assert proof.crash_point == 1091
    assert proof.previous_hash == "94e66d98029c61ecd27c4fb6b381d401c823cf3dfbdac9246756d5b655e125aa"
    assert verify_crash(CRASH_SALT, CRASH_HASH.upper()) == proof


@pytest.mark.parametrize(
    ("salt", "round_hash", "message"),
    [
        ("", CRASH_HASH, "salt"),
        (CRASH_SALT.upper(), CRASH_HASH, "lower-case"),
        (CRASH_SALT + "\n", CRASH_HASH, "salt"),
        ("ab" * 65, CRASH_HASH, "salt"),
        (CRASH_SALT, "zz", "hash is not hexadecimal"),
        (CRASH_SALT, CRASH_HASH[2:], "31 bytes"),
        (CRASH_SALT, "", "0 bytes"),
    ],
)
def test_what_could_not_have_been_a_round_is_refused(salt, round_hash, message) -> None:
    with pytest.raises(ValueError, match=message):
        verify_crash(salt, round_hash)
