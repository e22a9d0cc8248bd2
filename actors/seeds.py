"""The player's side of fairness: choosing the client seed, rotating and revealing the server seed.

Owns the events that carry a server seed. ``server_seed_drawn`` holds a secret that decides future
outcomes: whatever publishes the journal must leave the events named in ``SECRET_EVENTS`` out.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors import pushes
from actors.actions import remember
from actors.feature import Command, Event, Feature
from actors.games.fairness import SERVER_SEED_BYTES, commitment
from actors.pushes import UserAction
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision

SECRET_EVENTS = frozenset({"server_seed_drawn"})


class SetClientSeed(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    # No colon: it separates the parts of the HMAC message. (?![\s\S]) is the end of the text.
    client_seed: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+(?![\s\S])")]


class ClientSeedResult(msgspec.Struct, frozen=True, gc=False):
    """What the next play will be drawn from."""

    server_seed_hash: str
    client_seed: str
    nonce: int


class RotateServerSeed(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class RotateServerSeedResult(msgspec.Struct, frozen=True, gc=False):
    """``plays`` outcomes, with nonces 0 … ``plays`` - 1, can be verified with the revealed seed."""

    revealed_server_seed: str
    revealed_server_seed_hash: str
    plays: int
    server_seed_hash: str
    client_seed: str
    nonce: int


class ServerSeedDrawn(msgspec.Struct, frozen=True, gc=False, tag="server_seed_drawn"):
    """Secret. The nonce starts again from 0."""

    server_seed: bytes


class ServerSeedRevealed(msgspec.Struct, frozen=True, gc=False, tag="server_seed_revealed"):
    at_ms: int
    server_seed: str
    plays: int
    next_server_seed_hash: str


class ClientSeedSet(msgspec.Struct, frozen=True, gc=False, tag="client_seed_set"):
    at_ms: int
    client_seed: str


def draw_server_seed(context: Context) -> ServerSeedDrawn:
    return ServerSeedDrawn(context.entropy(SERVER_SEED_BYTES))


def _set_client_seed(state: SessionState, command: SetClientSeed, context: Context) -> Decision:
    event = ClientSeedSet(context.now_ms, command.client_seed)
    return Decision(
        reply=ClientSeedResult(commitment(state.server_seed), command.client_seed, state.nonce),
        events=(event,),
        pushes=(pushes.user_action(_set_action(event)),),
    )


def _rotate_server_seed(state: SessionState, command: RotateServerSeed, context: Context) -> Decision:
    drawn = draw_server_seed(context)
    next_hash = commitment(drawn.server_seed)
    revealed = ServerSeedRevealed(context.now_ms, state.server_seed.hex(), state.nonce, next_hash)
    return Decision(
        reply=RotateServerSeedResult(
            revealed.server_seed,
            commitment(state.server_seed),
            revealed.plays,
            next_hash,
            state.client_seed,
            0,
        ),
        events=(revealed, drawn),
        pushes=(pushes.user_action(_reveal_action(revealed)),),
    )


def _set_action(event: ClientSeedSet) -> UserAction:
    return UserAction("set_client_seed", {"client_seed": event.client_seed}, event.at_ms)


def _reveal_action(event: ServerSeedRevealed) -> UserAction:
    context: pushes.ActionContext = {
        "revealed_server_seed": event.server_seed,
        "server_seed_hash": event.next_server_seed_hash,
    }
    return UserAction("rotate_server_seed", context, event.at_ms)


def _client_seed_set(state: SessionState, event: ClientSeedSet) -> None:
    state.client_seed = event.client_seed
    remember(state, _set_action(event))


def _server_seed_revealed(state: SessionState, event: ServerSeedRevealed) -> None:
    remember(state, _reveal_action(event))


def _server_seed_drawn(state: SessionState, event: ServerSeedDrawn) -> None:
    state.server_seed = event.server_seed
    state.nonce = 0


SEEDS = Feature(
    name="seeds",
    commands=(
        Command(
            CommandSpec(
                "set_client_seed",
                SetClientSeed,
                ClientSeedResult,
                "Choose the client seed of the plays to come.",
            ),
            _set_client_seed,
        ),
        Command(
            CommandSpec(
                "rotate_server_seed",
                RotateServerSeed,
                RotateServerSeedResult,
                "Reveal the server seed, so that its plays can be verified, and commit to a new one.",
            ),
            _rotate_server_seed,
        ),
    ),
    events=(
        Event(ClientSeedSet, _client_seed_set),
        Event(ServerSeedRevealed, _server_seed_revealed),
        Event(ServerSeedDrawn, _server_seed_drawn),
    ),
)
