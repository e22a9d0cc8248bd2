"""Faults planted into the daily streak and its calendar."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from actors import streak
from actors.time_zone import local_date
from tests.simulation.planting import Patches, Planted

_DAY_MS = 24 * 3_600_000


def _dates_by_utc() -> Patches:
    yield streak, "local_date", lambda now_ms, time_zone: local_date(now_ms, "UTC")


def _days_of_24_hours() -> Patches:
    """Right, but for the days on which the clocks change."""
    begins = streak.day_begins_ms

    def later(day: Any, time_zone: str) -> int:
        return begins(day - streak._ONE_DAY, time_zone) + _DAY_MS

    yield streak, "day_begins_ms", later


def _new_zone_opens_at_once() -> Patches:
    yield streak, "ZONE_CHANGE_WAIT_MS", 0


def _claimed_zone_forgotten() -> Patches:
    """Only the present zone counts, so a journey east opens another day."""
    standing = streak.standing

    def forgetful(state: Any, now_ms: int) -> Any:
        return standing(replace(state, streak_zone=state.time_zone), now_ms)

    yield streak, "standing", forgetful


def _missed_days_excused() -> Patches:
    standing = streak.standing

    def lenient(state: Any, now_ms: int) -> Any:
        return standing(state, now_ms)._replace(next_count=state.streak_count + 1)

    yield streak, "standing", lenient


PLANTED_STREAK = (
    Planted("the streak follows the dates of UTC", _dates_by_utc, 20),
    Planted("a day of the streak has 24 hours", _days_of_24_hours, 20),
    Planted("a new time zone opens the streak at once", _new_zone_opens_at_once, 20),
    Planted("the time zone of a claim is forgotten", _claimed_zone_forgotten, 20),
    Planted("missed days of the streak are excused", _missed_days_excused, 60),
)
