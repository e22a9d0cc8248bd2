"""A feature: a self-contained slice of a session, games included.

It brings its commands, its events and the pure functions that decide and apply them; the session
only dispatches by type. Adding a game is therefore one file and one line in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision, PushSpec

Decide = Callable[[SessionState, Any, Context], Decision]
"""Takes an instance of its command's ``data``. May raise ``Rejected``; must not change the state."""

Evolve = Callable[[SessionState, Any], None]
"""Applies one event in place. Never refuses."""


class Command(NamedTuple):
    spec: CommandSpec
    decide: Decide


class Event(NamedTuple):
    type: type[msgspec.Struct]
    """A Struct with a tag of its own. The journal keeps its events for ever."""
    evolve: Evolve


@dataclass(frozen=True)
class Feature:
    name: str
    commands: tuple[Command, ...] = ()
    events: tuple[Event, ...] = ()
    pushes: tuple[PushSpec, ...] = ()
    """Outgoing events that only this feature sends; the common ones are in ``actors.pushes``."""
