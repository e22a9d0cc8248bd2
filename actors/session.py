"""The actor of one player: opens with welcome gold, then dispatches to its features.

Owns the first turn and the dispatch; every other rule stands in a feature. Which features there
are is the catalogue's choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from actors import pushes, wallet
from actors.feature import Command, Decide, Event, Evolve, Feature
from actors.profile import Profile, profile_of
from actors.pushes import PUSHES
from actors.seeds import draw_server_seed
from actors.session_state import SessionState
from runtime.behavior import Behavior, CommandSpec, Context, Decision, PushSpec
from runtime.errors import Rejected

WELCOME_GOLD = 10_000
ALREADY_OPEN = "already_open"

_CLIENT_SEED_BYTES = 8

_WITHOUT_ROLES = 1
"""Snapshots of this version lack the role alone: everybody was STANDARD."""


class OpenSession(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class OpenSessionResult(msgspec.Struct, frozen=True, gc=False):
    gold_balance: int


class SessionOpened(msgspec.Struct, frozen=True, gc=False, tag="session_opened"):
    at_ms: int
    client_seed: str
    gold_after: int


def _open_session(state: SessionState, command: OpenSession, context: Context) -> Decision:
    if not state.is_new:
        raise Rejected("The session is open.", ALREADY_OPEN)
    transfer, gold = wallet.earn(state.gold, state.user_id, wallet.FAUCET_WELCOME, WELCOME_GOLD, "welcome")
    drawn = draw_server_seed(context)
    client_seed = context.entropy(_CLIENT_SEED_BYTES).hex()
    return Decision(
        reply=OpenSessionResult(gold),
        events=(SessionOpened(context.now_ms, client_seed, gold), drawn),
        pushes=(pushes.reward_granted("welcome", WELCOME_GOLD, gold),),
        transfers=(transfer,),
    )


def _session_opened(state: SessionState, event: SessionOpened) -> None:
    state.gold = event.gold_after
    state.client_seed = event.client_seed


OPENING = Feature(
    name="opening",
    commands=(
        Command(
            CommandSpec(
                "open_session",
                OpenSession,
                OpenSessionResult,
                "The first turn of a session: welcome gold and seeds.",
                audience="system",
                errors=(ALREADY_OPEN,),
            ),
            _open_session,
        ),
    ),
    events=(Event(SessionOpened, _session_opened),),
)


class Session(Behavior[SessionState]):
    """One player's session; the key is the user id.

    Raises ``ValueError`` on construction when two features claim one name, data type or tag.
    """

    kind = "session"
    state_type = SessionState
    schema_version = 2
    genesis = ("open_session", OpenSession())

    def __init__(self, features: Sequence[Feature]) -> None:
        every = (OPENING, *features)
        commands = [command for feature in every for command in feature.commands]
        events = [event for feature in every for event in feature.events]
        specs = [*PUSHES, *(spec for feature in every for spec in feature.pushes)]
        self._commands = _distinct("command", [(command.spec.name, command.spec) for command in commands])
        self._pushes = _distinct("push", [(spec.name, spec) for spec in specs])
        self._decide: dict[type[msgspec.Struct], Decide] = _distinct(
            "command type", [(command.spec.data, command.decide) for command in commands]
        )
        self._evolve: dict[type[msgspec.Struct], Evolve] = _distinct(
            "event type", [(event.type, event.evolve) for event in events]
        )
        _distinct("event tag", [(event.type.__struct_config__.tag, event) for event in events])
        self.events: Any = reduce(or_, self._evolve)

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        return self._commands

    @property
    def pushes(self) -> Mapping[str, PushSpec]:
        return self._pushes

    def initial(self, key: str) -> SessionState:
        return SessionState(user_id=key)

    def decide(self, state: SessionState, command: Any, context: Context) -> Decision:
        return self._decide[type(command)](state, command, context)

    def evolve(self, state: SessionState, event: Any) -> None:
        self._evolve[type(event)](state, event)

    def upgrade(self, version: int, state: bytes) -> SessionState:
        if version == _WITHOUT_ROLES:
            return msgspec.msgpack.decode(state, type=SessionState)
        return super().upgrade(version, state)

    def is_new(self, state: SessionState) -> bool:
        return state.is_new

    def view(self, state: SessionState) -> Profile:
        return profile_of(state)


def _distinct(what: str, pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [key for key, _ in pairs]
        twice = {str(name) for name in names if names.count(name) > 1}
        raise ValueError(f"{what} registered twice: {', '.join(sorted(twice))}")
    return table
