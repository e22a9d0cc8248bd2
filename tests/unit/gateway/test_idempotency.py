"""Names of commands: from the key, and out of everybody else's way."""

from __future__ import annotations

from gateway.idempotency import admin_command, player_command, role_command
from gateway.schema import ID_CHARS_MAX
from runtime.command_ids import INTERNAL, send_id
from runtime.identity import ActorId


def test_a_players_key_is_the_id() -> None:
    assert player_command("k") == "k"


def test_without_a_key_every_command_is_its_own() -> None:
    ids = {player_command(None) for _ in range(50)}
    assert len(ids) == 50
    assert all(len(command_id) <= ID_CHARS_MAX and command_id.isprintable() for command_id in ids)


def test_no_client_can_take_an_administrators_id() -> None:
    for command_id in (admin_command("u_a", "k"), admin_command("u_a", None), role_command(3)):
        assert command_id.startswith(INTERNAL)
        assert not command_id.isprintable()


def test_no_two_of_them_meet() -> None:
    a_send = send_id(ActorId("session/u_a"), 1, 0)
    ids = [
        admin_command("u_a", "k"),
        admin_command("u_b", "k"),
        admin_command("u_a", "l"),
        role_command(1),
        role_command(2),
        a_send,
    ]
    assert len(set(ids)) == len(ids)
    assert admin_command("u_a", "k") == admin_command("u_a", "k")
