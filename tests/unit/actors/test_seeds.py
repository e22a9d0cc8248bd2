import msgspec
import pytest

from actors.games.fairness import commitment


def test_rotation_reveals_the_seed_that_was_committed_to(ann) -> None:
    promised = ann.behavior.view(ann.state).fairness.server_seed_hash
    for _ in range(3):
        ann.give("spin_slots", stake=1)
    old = ann.state.server_seed
    decision = ann.give("rotate_server_seed")
    reply = decision.reply
    assert commitment(bytes.fromhex(reply.revealed_server_seed)) == promised
    assert reply.revealed_server_seed_hash == promised
    assert bytes.fromhex(reply.revealed_server_seed) == old != ann.state.server_seed
    assert (reply.plays, reply.nonce, ann.state.nonce) == (3, 0, 0)
    assert reply.server_seed_hash == commitment(ann.state.server_seed)
    assert ann.pushed(decision)["user_action"]["context"] == {
        "revealed_server_seed": old.hex(),
        "server_seed_hash": commitment(ann.state.server_seed),
    }


def test_a_new_client_seed_keeps_the_nonce_growing(ann) -> None:
    ann.give("spin_slots", stake=1)
    decision = ann.give("set_client_seed", client_seed="mine")
    assert msgspec.to_builtins(decision.reply) == {
        "server_seed_hash": commitment(ann.state.server_seed),
        "client_seed": "mine",
        "nonce": 1,
    }
    assert ann.give("spin_slots", stake=1).reply.nonce == 1


@pytest.mark.parametrize("client_seed", ["", "a:b", "a b", "seed\n", "x" * 65, "sälz"])
def test_a_client_seed_that_would_blur_the_message_is_refused(ann, client_seed) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("set_client_seed", client_seed=client_seed)


def test_the_server_seed_never_leaves_before_it_is_rotated(ann) -> None:
    """Not in a reply, a push or the view; in the journal only in the event declared secret."""
    decisions = [
        ann.opened,
        ann.give("spin_slots", stake=1),
        ann.give("set_client_seed", client_seed="mine"),
        ann.give("claim_streak"),
        ann.give("get_profile"),
        ann.give("rotate_server_seed"),
    ]
    # After the rotation: the new seed must not be in what the rotation said either.
    secret = ann.state.server_seed
    shown = msgspec.msgpack.encode([[decision.reply, decision.pushes] for decision in decisions])
    shown += msgspec.msgpack.encode(ann.behavior.view(ann.state))
    assert secret not in shown
    assert secret.hex().encode() not in shown
    before = ann.opened.events[1].server_seed
    shown = msgspec.msgpack.encode([[decision.reply, decision.pushes] for decision in decisions[:-1]])
    assert before not in shown
    assert before.hex().encode() not in shown


def test_the_events_with_a_secret_are_named_for_whoever_publishes_the_journal(ann) -> None:
    from actors.catalogue import SECRET_EVENTS

    ann.give("rotate_server_seed")
    secret = msgspec.msgpack.encode(ann.state.server_seed)[2:]
    tags = {
        event["type"]
        for events in ann.journal
        for event in msgspec.msgpack.decode(events)
        if secret in msgspec.msgpack.encode(event) or secret.hex().encode() in msgspec.msgpack.encode(event)
    }
    assert tags == SECRET_EVENTS
