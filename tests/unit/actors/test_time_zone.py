from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.time_zone import day_begins_ms, local_date

HOUR_MS = 3_600_000


def at(text: str, zone: str = "UTC") -> int:
    """Milliseconds since the epoch of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_the_date_depends_on_the_zone() -> None:
    now = at("2026-01-01T12:00")
    assert local_date(now, "UTC") == date(2026, 1, 1)
    assert local_date(now, "Pacific/Kiritimati") == date(2026, 1, 2)
    assert local_date(at("2026-01-01T05:00"), "America/New_York") == date(2026, 1, 1)
    assert local_date(at("2026-01-01T04:59"), "America/New_York") == date(2025, 12, 31)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # the clock jumps from 00:00 to 01:00
        ("America/Havana", date(2026, 11, 1), 25),  # 00:00 … 00:59 comes twice
        ("Asia/Seoul", date(2026, 3, 29), 24),
        ("UTC", date(2028, 2, 29), 24),
    ],
)
def test_a_day_lasts_as_long_as_its_date(zone: str, day: date, hours: int) -> None:
    begins, ends = day_begins_ms(day, zone), day_begins_ms(day + timedelta(days=1), zone)
    assert ends - begins == hours * HOUR_MS
    for moment in (begins, ends - 1):
        assert datetime.fromtimestamp(moment // 1000, UTC).astimezone(ZoneInfo(zone)).date() == day
    assert local_date(begins - 1, zone) == day - timedelta(days=1)
    assert local_date(ends, zone) == day + timedelta(days=1)


@given(
    st.dates(date(2024, 1, 1), date(2035, 1, 1)),
    st.sampled_from(
        ["Europe/Berlin", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kabul"]
    ),
)
def test_a_day_begins_when_its_date_does(day: date, zone: str) -> None:
    begins = day_begins_ms(day, zone)
    assert local_date(begins, zone) == day
    assert local_date(begins - 1, zone) == day - timedelta(days=1)


def test_setting_the_zone(ann) -> None:
    decision = ann.give("set_time_zone", time_zone="Asia/Seoul")
    assert decision.reply.time_zone == ann.state.time_zone == "Asia/Seoul"
    assert ann.pushed(decision) == {
        "user_action": {
            "action_type": "set_time_zone",
            "context": {"time_zone": "Asia/Seoul"},
            "server_ts": ann.now_ms,
        }
    }


@pytest.mark.parametrize("name", ["Mars/Olympus", "Europe", "America/Argentina", "seoul_"])
def test_no_such_zone(ann, name: str) -> None:
    assert ann.rejection("set_time_zone", time_zone=name).code == "unknown_time_zone"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../UTC", "UTC\n", "Europe//Berlin", "a" * 65, "A/../B"])
def test_what_is_no_name_of_a_zone_is_refused_at_the_door(ann, name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        ann.give("set_time_zone", time_zone=name)
