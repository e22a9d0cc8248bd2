"""What an account's role means at the tables: how much it may stake.

Owns the factors, and the session's knowledge of its role. Who has which role is decided where
accounts are kept; the session is told, under a number that grows with every change, so that what
comes late or twice changes nothing.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from actors import pushes
from actors.feature import Command, Event, Feature
from actors.pushes import INTEGER_MAX
from actors.session_state import Role, SessionState
from runtime.behavior import CommandSpec, Context, Decision

STAKE_FACTORS: dict[Role, int] = {
    Role.STANDARD: 1,
    Role.PREMIUM: 2,
    Role.VIP: 10,
    Role.ADMIN: 1,
}


def stake_limit(role: Role, stake_max: int) -> int:
    """The highest stake of a player where the published one is ``stake_max``."""
    return stake_max * STAKE_FACTORS[role]


def highest_stake_limit(stake_max: int) -> int:
    """The highest stake that anybody may make."""
    return stake_max * max(STAKE_FACTORS.values())


class SetRole(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    role: Role
    change: Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
    """Number of the account's change of role, from 1."""


class SetRoleResult(msgspec.Struct, frozen=True, gc=False):
    """What the session goes by after the command; of a later change, if it knew of one."""

    role: Role
    change: int


class RoleSet(msgspec.Struct, frozen=True, gc=False, tag="role_set"):
    at_ms: int
    role: Role
    change: int


def _set_role(state: SessionState, command: SetRole, context: Context) -> Decision:
    if command.change <= state.role_change:
        return Decision(SetRoleResult(state.role, state.role_change))
    return Decision(
        reply=SetRoleResult(command.role, command.change),
        events=(RoleSet(context.now_ms, command.role, command.change),),
        pushes=(pushes.profile_update(role=command.role),),
    )


def _role_set(state: SessionState, event: RoleSet) -> None:
    state.role = event.role
    state.role_change = event.change


ROLES = Feature(
    name="roles",
    commands=(
        Command(
            CommandSpec(
                "set_role",
                SetRole,
                SetRoleResult,
                "Take note of the account's role.",
                audience="system",
            ),
            _set_role,
        ),
    ),
    events=(Event(RoleSet, _role_set),),
)
