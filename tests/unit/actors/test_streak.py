from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.streak import ZONE_CHANGE_WAIT_MS, next_claim_ms, reward_for, standing
from runtime.errors import Rejected

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def at(text: str, zone: str = "UTC") -> int:
    """Milliseconds since the epoch of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def claim(player, text: str, zone: str = "UTC"):
    player.now_ms = at(text, zone)
    return player.give("claim_streak").reply


def refused(player, text: str, zone: str = "UTC") -> Rejected:
    player.now_ms = at(text, zone)
    return player.rejection("claim_streak")


def test_rewards_grow_and_stop_growing() -> None:
    assert [reward_for(day) for day in (1, 2, 9, 10, 11, 400)] == [100, 200, 900, 1000, 1000, 1000]


def test_the_first_claim(ann) -> None:
    ann.now_ms = at("2026-05-05T10:00")
    decision = ann.give("claim_streak")
    reply = decision.reply
    assert (reply.streak_count, reply.reward, reply.claimed_on) == (1, 100, date(2026, 5, 5))
    assert reply.gold_balance == ann.state.gold == 10_100
    assert reply.next_claim_at_ms == at("2026-05-06T00:00")
    assert [tuple(transfer[:3]) for transfer in decision.transfers] == [("faucet:streak", "player:ann", 100)]
    assert ann.pushed(decision) == {
        "profile_update": {"changes": {"gold_balance": 10_100}},
        "reward_granted": {"reward_type": "daily_streak", "amount": 100, "balance_after": 10_100},
        "streak_update": {"action_type": "claim_streak", "streak_count": 1},
        "user_action": {
            "action_type": "claim_streak",
            "context": {"streak_count": 1, "reward": 100},
            "server_ts": ann.now_ms,
        },
    }


def test_a_second_claim_on_the_same_date_says_when_the_next_one_opens(ann) -> None:
    ann.give("set_time_zone", time_zone="Asia/Seoul")
    claim(ann, "2026-05-05T00:00", "Asia/Seoul")
    rejected = refused(ann, "2026-05-05T22:29:30", "Asia/Seoul")
    assert rejected.code == "streak_already_claimed"
    assert not rejected.retryable
    assert rejected.message == (
        "Already claimed. The next claim opens at 2026-05-06 00:00 Asia/Seoul, in 1 h 31 min."
    )
    assert ann.state.gold == 10_100


def test_midnight_separates_two_days_however_close(ann) -> None:
    claim(ann, "2026-05-05T23:59")
    assert claim(ann, "2026-05-06T00:01").streak_count == 2


def test_days_in_a_row_across_a_leap_day(ann) -> None:
    days = ["2028-02-28T08:00", "2028-02-29T20:00", "2028-03-01T00:00"]
    assert [claim(ann, day).streak_count for day in days] == [1, 2, 3]


def test_the_day_after_february_28_depends_on_the_year(ann) -> None:
    claim(ann, "2026-02-28T08:00")
    assert claim(ann, "2026-03-01T08:00").streak_count == 2
    claim(ann, "2028-02-28T08:00")
    assert claim(ann, "2028-03-01T08:00").streak_count == 1


def test_a_missed_day_begins_again(ann) -> None:
    assert claim(ann, "2026-05-05T10:00").streak_count == 1
    assert claim(ann, "2026-05-06T10:00").streak_count == 2
    again = claim(ann, "2026-05-08T00:00")
    assert (again.streak_count, again.reward) == (1, 100)


@pytest.mark.parametrize(
    ("zone", "before", "day", "after"),
    [
        ("Europe/Berlin", "2026-03-28", "2026-03-29", "2026-03-30"),  # 23 hours
        ("Europe/Berlin", "2026-10-24", "2026-10-25", "2026-10-26"),  # 25 hours
        ("America/New_York", "2026-03-07", "2026-03-08", "2026-03-09"),
        ("America/New_York", "2026-10-31", "2026-11-01", "2026-11-02"),
        ("Africa/Cairo", "2026-04-23", "2026-04-24", "2026-04-25"),  # midnight itself is skipped
        ("Asia/Seoul", "2026-03-28", "2026-03-29", "2026-03-30"),
    ],
)
def test_daylight_saving_neither_gives_nor_takes_a_claim(new_player, zone, before, day, after) -> None:
    early = new_player()
    early.give("set_time_zone", time_zone=zone)
    assert claim(early, f"{before}T23:59", zone).streak_count == 1
    opens = next_claim_ms(early.state)
    early.now_ms = opens - 1
    early.rejection("claim_streak")
    early.now_ms = opens
    assert early.give("claim_streak").reply.claimed_on == date.fromisoformat(day)
    refused(early, f"{day}T23:59", zone)
    assert claim(early, f"{after}T23:59", zone).streak_count == 3


def test_moving_east_at_once_does_not_open_a_second_claim(ann) -> None:
    claim(ann, "2026-05-05T12:00")
    ann.give("set_time_zone", time_zone="Pacific/Kiritimati")  # it is May 6 there
    assert refused(ann, "2026-05-05T12:01").code == "streak_already_claimed"
    # The date is later in both zones, and half a day has passed.
    refused(ann, "2026-05-05T23:59")
    assert next_claim_ms(ann.state) == at("2026-05-06T00:00")
    assert claim(ann, "2026-05-06T00:00").streak_count == 2


def test_after_moving_half_a_day_must_pass(ann) -> None:
    claim(ann, "2026-05-05T23:59")
    ann.give("set_time_zone", time_zone="Pacific/Kiritimati")
    refused(ann, "2026-05-06T00:00")
    rejected = refused(ann, "2026-05-06T11:58")
    assert "2026-05-07 01:59 Pacific/Kiritimati" in rejected.message
    assert claim(ann, "2026-05-06T11:59").claimed_on == date(2026, 5, 7)
    refused(ann, "2026-05-06T23:00")


def test_moving_west_after_a_claim_waits_for_the_date_but_keeps_the_streak(ann) -> None:
    ann.give("set_time_zone", time_zone="Asia/Seoul")
    claim(ann, "2026-05-05T01:00", "Asia/Seoul")
    ann.give("set_time_zone", time_zone="Pacific/Honolulu")  # it is still May 4 there
    refused(ann, "2026-05-05T23:59", "Pacific/Honolulu")
    assert claim(ann, "2026-05-06T00:00", "Pacific/Honolulu").streak_count == 2


def test_crossing_the_date_line_eastward_in_the_evening_keeps_the_streak(ann) -> None:
    """The calendar of the new zone skips a date that the traveller never lived."""
    ann.give("set_time_zone", time_zone="Pacific/Honolulu")
    claim(ann, "2026-05-05T20:00", "Pacific/Honolulu")
    ann.give("set_time_zone", time_zone="Pacific/Kiritimati")
    # May 7 in Kiritimati; in Honolulu the day after the claim has just begun.
    reply = claim(ann, "2026-05-06T08:00", "Pacific/Honolulu")
    assert (reply.streak_count, reply.claimed_on) == (2, date(2026, 5, 7))


def test_moving_away_and_back_changes_nothing(ann) -> None:
    claim(ann, "2026-05-05T23:59")
    ann.give("set_time_zone", time_zone="Asia/Seoul")
    ann.give("set_time_zone", time_zone="UTC")
    assert claim(ann, "2026-05-06T00:00").streak_count == 2


def test_a_clock_that_runs_backwards_opens_nothing(ann) -> None:
    claim(ann, "2026-05-05T10:00")
    refused(ann, "2026-05-04T10:00")


ZONES = [
    "UTC",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
]
steps = st.lists(
    st.tuples(st.integers(0, 40 * 60), st.none() | st.sampled_from(ZONES)), min_size=1, max_size=40
)


def date_in(now_ms: int, zone: str) -> date:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ms)).astimezone(ZoneInfo(zone)).date()
    )


@settings(max_examples=60, deadline=None)
@given(steps)
def test_no_sequence_of_moves_wins_a_claim(new_player, journey) -> None:
    """Minutes to wait and zones to move to, with an attempt to claim after each step."""
    player = new_player(now_ms=at("2026-03-01T00:00"))
    claims: list[tuple[int, str, date]] = []
    begin = player.now_ms
    for minutes, zone in journey:
        player.now_ms += minutes * MINUTE_MS
        if zone is not None:
            player.give("set_time_zone", time_zone=zone)
        opens = next_claim_ms(player.state)
        try:
            reply = player.give("claim_streak").reply
        except Rejected:
            assert player.now_ms < opens
            continue
        assert player.now_ms >= opens
        claims.append((player.now_ms, player.state.time_zone, reply.claimed_on))
    for (before_ms, before_zone, before), (now_ms, zone, today) in pairwise(claims):
        assert today == date_in(now_ms, zone) > before
        assert date_in(now_ms, before_zone) > before
        if zone != before_zone:
            assert now_ms - before_ms >= ZONE_CHANGE_WAIT_MS
    # One for each date that passed, the first, and what the span of the world's zones adds, once.
    assert len(claims) <= (player.now_ms - begin) // DAY_MS + 3


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), st.lists(st.integers(0, 60 * 60), min_size=1, max_size=30))
def test_who_stays_at_home_gets_one_claim_per_date(new_player, zone, waits) -> None:
    player = new_player(now_ms=at("2026-03-01T00:00"))
    player.give("set_time_zone", time_zone=zone)
    last, count = None, 0
    for minutes in waits:
        player.now_ms += minutes * MINUTE_MS
        today = date_in(player.now_ms, zone)
        if today == last:
            player.rejection("claim_streak")
            continue
        count = count + 1 if last == today - timedelta(days=1) else 1
        reply = player.give("claim_streak").reply
        assert (reply.streak_count, reply.reward) == (count, min(100 * count, 1000))
        last = today


def test_standing_tells_without_claiming(ann) -> None:
    ann.now_ms = at("2026-05-05T10:00")
    assert standing(ann.state, ann.now_ms) == (date(2026, 5, 5), 1, True)
    ann.give("claim_streak")
    assert not standing(ann.state, ann.now_ms).open
