"""The player's recent actions: how the latest ten are kept, and the client's own entries, which it
may bring one by one or many in one turn.

They are packed into one byte string: a count, then each action behind its length, oldest first.
Ten objects per session would cost the host more memory than the rest of the session together.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from actors import pushes
from actors.feature import Command, Event, Feature
from actors.pushes import INTEGER_MAX, ActionContext, Scalar, UserAction
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision
from runtime.errors import Rejected

RECENT_ACTIONS_MAX = 10
CONTEXT_BYTES_MAX = 256
"""Bound on the encoded context of an action that a client logs."""

LOGGED_AT_ONCE_MAX = 50

CONTEXT_TOO_LARGE = "context_too_large"

_LENGTH_BYTES = 2
_Packed = tuple[str, int, int | None, ActionContext]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def remember(state: SessionState, action: UserAction) -> None:
    """Add an action to the state, in place; the oldest makes room."""
    client_ts = None if action.client_ts is UNSET else action.client_ts
    entry = _encode((action.action_type, action.server_ts, client_ts, action.context))
    entry = len(entry).to_bytes(_LENGTH_BYTES, "big") + entry
    packed = state.recent_actions
    if not packed:
        state.recent_actions = b"\x01" + entry
        return
    count, begin = packed[0] + 1, 1
    if count > RECENT_ACTIONS_MAX:
        count, begin = RECENT_ACTIONS_MAX, _end_of_entry(packed, 1)
    state.recent_actions = bytes((count,)) + packed[begin:] + entry


def recent(state: SessionState) -> list[UserAction]:
    """The latest actions, newest first."""
    packed, begin, actions = state.recent_actions, 1, []
    while begin < len(packed):
        end = _end_of_entry(packed, begin)
        action_type, server_ts, client_ts, context = _decode(packed[begin + _LENGTH_BYTES : end])
        actions.append(UserAction(action_type, context, server_ts, UNSET if client_ts is None else client_ts))
        begin = end
    actions.reverse()
    return actions


def _end_of_entry(packed: bytes, begin: int) -> int:
    start = begin + _LENGTH_BYTES
    return start + int.from_bytes(packed[begin:start], "big")


class LogAction(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    # (?![\s\S]) is the end of the text; "$" would let a final line feed pass.
    action_type: Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_.:-]*(?![\s\S])")]
    client_ts: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | UnsetType = UNSET
    context: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=64)], Scalar], Meta(max_length=16)
    ] = {}


class LogActions(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    actions: Annotated[list[LogAction], Meta(min_length=1, max_length=LOGGED_AT_ONCE_MAX)]
    """In the order in which they happened."""


class LogActionsResult(msgspec.Struct, frozen=True, gc=False):
    logged: int
    server_ts: int


class GetRecentActions(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    pass


class RecentActions(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    actions: list[UserAction]
    """Newest first."""


class LogActionResult(msgspec.Struct, frozen=True, gc=False):
    server_ts: int


class ActionLogged(msgspec.Struct, frozen=True, gc=False, tag="action_logged", omit_defaults=True):
    at_ms: int
    action_type: str
    context: ActionContext
    client_ts: int | UnsetType = UNSET


def _log_action(state: SessionState, command: LogAction, context: Context) -> Decision:
    event = _logged(command, context.now_ms)
    return Decision(
        reply=LogActionResult(context.now_ms),
        events=(event,),
        pushes=(pushes.user_action(_action_of(event)),),
    )


def _log_actions(state: SessionState, command: LogActions, context: Context) -> Decision:
    events = [_logged(action, context.now_ms) for action in command.actions]
    return Decision(
        reply=LogActionsResult(len(events), context.now_ms),
        events=events,
        pushes=[pushes.user_action(_action_of(event)) for event in events],
    )


def _logged(action: LogAction, now_ms: int) -> ActionLogged:
    size = len(_encode(action.context))
    if size > CONTEXT_BYTES_MAX:
        raise Rejected(
            f"The context takes {size} bytes, at most {CONTEXT_BYTES_MAX} are kept.", CONTEXT_TOO_LARGE
        )
    return ActionLogged(now_ms, action.action_type, action.context, action.client_ts)


def _get_recent_actions(state: SessionState, command: GetRecentActions, context: Context) -> Decision:
    return Decision(RecentActions(state.user_id, recent(state)))


def _action_of(event: ActionLogged) -> UserAction:
    return UserAction(event.action_type, event.context, event.at_ms, event.client_ts)


def _action_logged(state: SessionState, event: ActionLogged) -> None:
    remember(state, _action_of(event))


ACTIONS = Feature(
    name="actions",
    commands=(
        Command(
            CommandSpec(
                "log_action",
                LogAction,
                LogActionResult,
                "Add an entry of the client's own to the recent actions.",
                errors=(CONTEXT_TOO_LARGE,),
            ),
            _log_action,
        ),
        Command(
            CommandSpec(
                "log_actions",
                LogActions,
                LogActionsResult,
                "Add several entries of the client's own to the recent actions: all of them, or none.",
                errors=(CONTEXT_TOO_LARGE,),
            ),
            _log_actions,
        ),
        Command(
            CommandSpec(
                "get_recent_actions",
                GetRecentActions,
                RecentActions,
                "The player's latest actions.",
            ),
            _get_recent_actions,
        ),
    ),
    events=(Event(ActionLogged, _action_logged),),
)
