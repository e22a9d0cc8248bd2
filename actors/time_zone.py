"""The player's time zone: what date it is there, and the command that changes it.

Calendar arithmetic only: days are dates, never 24 hours, so daylight saving needs no special case.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from actors import pushes
from actors.actions import remember
from actors.feature import Command, Event, Feature
from actors.pushes import UserAction
from actors.session_state import SessionState
from runtime.behavior import CommandSpec, Context, Decision
from runtime.errors import Rejected

UNKNOWN_TIME_ZONE = "unknown_time_zone"


def local_time(now_ms: int, time_zone: str) -> datetime:
    """What a clock on the wall shows there, to the second."""
    return datetime.fromtimestamp(now_ms // 1000, ZoneInfo(time_zone))


def local_date(now_ms: int, time_zone: str) -> date:
    return local_time(now_ms, time_zone).date()


def day_begins_ms(day: date, time_zone: str) -> int:
    """When a local date begins, in ms since the epoch.

    Where the clock skips midnight this is the moment of the jump, and where it shows midnight
    twice it is the first: both follow from ``fold=0``.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))
    # Through UTC: a difference of two times in one zone would ignore their offsets.
    since_epoch = midnight.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since_epoch // timedelta(milliseconds=1)


class SetTimeZone(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    # (?![\s\S]) is the end of the text; "$" would let a final line feed pass.
    time_zone: Annotated[
        str, Meta(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*(?![\s\S])")
    ]


class TimeZoneResult(msgspec.Struct, frozen=True, gc=False):
    time_zone: str


class TimeZoneSet(msgspec.Struct, frozen=True, gc=False, tag="time_zone_set"):
    at_ms: int
    time_zone: str


def _set_time_zone(state: SessionState, command: SetTimeZone, context: Context) -> Decision:
    try:
        ZoneInfo(command.time_zone)
    except (KeyError, ValueError, OSError):
        # OSError: the name of a folder of zones, such as "Europe".
        raise Rejected(f"There is no time zone {command.time_zone!r}.", UNKNOWN_TIME_ZONE) from None
    event = TimeZoneSet(context.now_ms, command.time_zone)
    return Decision(
        reply=TimeZoneResult(command.time_zone),
        events=(event,),
        pushes=(pushes.user_action(_action(event)),),
    )


def _action(event: TimeZoneSet) -> UserAction:
    return UserAction("set_time_zone", {"time_zone": event.time_zone}, event.at_ms)


def _time_zone_set(state: SessionState, event: TimeZoneSet) -> None:
    state.time_zone = event.time_zone
    remember(state, _action(event))


TIME_ZONE = Feature(
    name="time_zone",
    commands=(
        Command(
            CommandSpec(
                "set_time_zone",
                SetTimeZone,
                TimeZoneResult,
                "Set the time zone (IANA name) whose calendar the daily streak follows.",
                errors=(UNKNOWN_TIME_ZONE,),
            ),
            _set_time_zone,
        ),
    ),
    events=(Event(TimeZoneSet, _time_zone_set),),
)
