import msgspec
import pytest

from actors.catalogue import behaviors
from actors.crash.round import TableRules
from actors.games.slots import CLASSIC
from actors.roles import STAKE_FACTORS, highest_stake_limit, stake_limit
from actors.session_state import Role, SessionState
from actors.verification import verify_slots
from runtime.errors import Rejected


def test_limits_by_role() -> None:
    assert {role.value: stake_limit(role, 500) for role in Role} == {
        "STANDARD": 500,
        "PREMIUM": 1_000,
        "VIP": 5_000,
        "ADMIN": 500,
    }
    assert set(STAKE_FACTORS) == set(Role)
    assert highest_stake_limit(500) == max(stake_limit(role, 500) for role in Role)


def test_a_role_is_set_once_and_shown(ann) -> None:
    decision = ann.give("set_role", role="VIP", change=1)
    assert (decision.reply.role, decision.reply.change) == (Role.VIP, 1)
    assert ann.pushed(decision) == {"profile_update": {"changes": {"role": "VIP"}}}
    assert msgspec.to_builtins(ann.behavior.view(ann.state))["role"] == "VIP"
    again = ann.give("set_role", role="VIP", change=1)
    assert (again.events, again.pushes) == ((), ())


def test_what_comes_late_changes_nothing(ann) -> None:
    ann.give("set_role", role="VIP", change=4)
    late = ann.give("set_role", role="PREMIUM", change=3)
    assert (late.events, late.reply.role, late.reply.change) == ((), Role.VIP, 4)
    assert ann.state.role is Role.VIP
    ann.give("set_role", role="STANDARD", change=5)
    assert ann.state.role is Role.STANDARD


def test_the_change_before_the_first_is_no_news(ann) -> None:
    assert ann.give("set_role", role="STANDARD", change=0).events == ()


@pytest.mark.parametrize(
    "data", [{"role": "GOD", "change": 1}, {"role": "VIP", "change": -1}, {"role": "VIP"}]
)
def test_what_is_no_role(ann, data) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("set_role", **data)


@pytest.mark.parametrize("role", list(Role))
def test_slots_take_what_the_role_allows(ann, role: Role) -> None:
    ann.give("adjust_gold", amount=10_000_000, reason="test", by="u_admin")
    ann.give("set_role", role=role.value, change=1)
    limit = CLASSIC.stake_max * STAKE_FACTORS[role]
    result = ann.give("spin_slots", stake=limit).reply
    seed = ann.state.server_seed.hex()
    proof = verify_slots(seed, result.client_seed, result.nonce, result.machine, result.stake)
    assert (proof.outcome.stops, proof.outcome.payout) == (result.stops, result.payout)
    rejected = ann.rejection("spin_slots", stake=limit + 1)
    assert rejected.code == "stake_out_of_range"
    assert f"to {limit}." in rejected.message


def test_the_stake_decides_nothing_but_the_payout(new_player) -> None:
    ann, vip = new_player("ann"), new_player("ann")
    vip.give("adjust_gold", amount=10_000_000, reason="test", by="u_admin")
    vip.give("set_role", role="VIP", change=1)
    small = ann.give("spin_slots", stake=1).reply
    large = vip.give("spin_slots", stake=100_000).reply
    assert (large.stops, large.multiplier) == (small.stops, small.multiplier)
    assert large.payout == 100_000 * large.multiplier


def test_crash_takes_what_the_role_allows(new_player) -> None:
    session = behaviors({"main": TableRules(stake_max=100, liability_max=10**9)})["session"]
    ann = new_player("ann", behavior=session)
    assert ann.rejection("place_crash_bet", stake=101).code == "stake_out_of_range"
    ann.give("set_role", role="PREMIUM", change=1)
    assert ann.rejection("place_crash_bet", stake=201).code == "stake_out_of_range"
    assert ann.give("place_crash_bet", stake=200).sends[0].data.stake == 200


def test_no_role_exceeds_what_any_table_may_take(new_player) -> None:
    session = behaviors({"main": TableRules(stake_max=10**12, liability_max=10**15)})["session"]
    ann = new_player("ann", behavior=session)
    ann.give("set_role", role="VIP", change=1)
    with pytest.raises((Rejected, msgspec.ValidationError)):
        ann.give("place_crash_bet", stake=10**12 + 1)


def test_a_snapshot_from_before_there_were_roles(ann) -> None:
    ann.give("claim_streak")
    old = msgspec.to_builtins(ann.state, builtin_types=(bytes,))
    del old["role"], old["role_change"]
    restored = ann.behavior.upgrade(1, msgspec.msgpack.encode(old))
    assert isinstance(restored, SessionState)
    assert restored == ann.state
    with pytest.raises(ValueError, match="version 0"):
        ann.behavior.upgrade(0, msgspec.msgpack.encode(old))


def test_replay_and_snapshot(ann) -> None:
    ann.give("set_role", role="PREMIUM", change=2)
    assert ann.replayed() == ann.restored() == ann.state
