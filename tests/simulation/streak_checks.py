"""The daily streak by a calendar of its own: what every claim, refusal and view must say.

Knows of a player only the durable claims and changes of zone. Days are found by looking for the
moment at which the date changes, not by the arithmetic of ``actors.time_zone``.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from runtime.identity import ActorId
from runtime.journal import TurnRecord
from tests.simulation.shadow import Shadow, decode

if TYPE_CHECKING:
    from tests.simulation.checks import Checks
    from tests.simulation.history import Invocation

REFUSED = "streak_already_claimed"
WAIT_MS = 12 * 3_600_000
"""Between two claims in different zones."""

_HOUR_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REFUSAL = re.compile(r"Already claimed\. The next claim opens at (.+) (\S+), in (\d+) h (\d+) min\.")


def _local(at_ms: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone))


@lru_cache(1024)
def dawn_ms(day: date, zone: str) -> int:
    """The first moment of a local date."""
    # No zone is more than a day away from UTC.
    noon_ms = int((datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - _EPOCH).total_seconds()) * 1000
    around = range(noon_ms - 48 * _HOUR_MS, noon_ms + 48 * _HOUR_MS)
    return around[bisect_left(around, day, key=lambda at_ms: _local(at_ms, zone).date())]


def _after(day: date, days: int) -> date:
    return day + timedelta(days=days)


class Calendar(NamedTuple):
    """One player between two turns that matter here."""

    zone: str = "UTC"
    count: int = 0
    day: date | None = None
    """Of the latest claim."""
    claim_zone: str = "UTC"
    claimed_ms: int = 0

    @property
    def opens_ms(self) -> int:
        """The next claim: once the day after has begun in both zones, and the wait is over."""
        if self.day is None:
            return 0
        tomorrow = _after(self.day, 1)
        opens_ms = max(dawn_ms(tomorrow, self.zone), dawn_ms(tomorrow, self.claim_zone))
        return opens_ms if self.zone == self.claim_zone else max(opens_ms, self.claimed_ms + WAIT_MS)

    def claim(self, at_ms: int) -> Calendar:
        count = 1
        if self.day is not None:
            # Nothing is missed before the day after has ended in both zones.
            missed = _after(self.day, 2)
            if at_ms < max(dawn_ms(missed, self.zone), dawn_ms(missed, self.claim_zone)):
                count = self.count + 1
        return Calendar(self.zone, count, _local(at_ms, self.zone).date(), self.zone, at_ms)

    @property
    def view(self) -> dict[str, Any]:
        claimed_on = None if self.day is None else self.day.isoformat()
        return {"streak_count": self.count, "claimed_on": claimed_on, "next_claim_at_ms": self.opens_ms}


class StreakChecks:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._calendars: dict[ActorId, list[tuple[int, Calendar]]] = {}
        """Each with the turn from which on it holds."""

    def _wrong(self, what: str) -> None:
        self._checks.violated("streak", what)

    def _kept(self, actor: ActorId) -> list[tuple[int, Calendar]]:
        return self._calendars.setdefault(actor, [(0, Calendar())])

    def _between(self, actor: ActorId, first_seq: int, last_seq: int) -> list[Calendar]:
        """Those that held after any of these turns."""
        kept = self._kept(actor)
        first = bisect_right(kept, first_seq, key=lambda entry: entry[0]) - 1
        return [calendar for seq, calendar in kept[first:] if seq <= last_seq]

    def _moments(self, invocation: Invocation) -> tuple[int, int]:
        """What a clock may have shown between the first asking and now."""
        world = self._checks.world
        skew_ms = world.scenario.skew_ms_max + 1
        drifted_ms = world.scenario.drift_max * world.simulator.now * 1000
        return int(invocation.issued_ms - skew_ms), int(world.wall_ms + skew_ms + drifted_ms)

    # Rows

    def committed(self, turn: TurnRecord, shadow: Shadow) -> None:
        asked = self._checks.world.history.first_asked(turn.actor, turn.command_id)
        if asked is None or asked.name not in ("claim_streak", "set_time_zone"):
            return
        kept = self._kept(turn.actor)
        calendar = kept[-1][1]
        said = decode(shadow.replies[-1])
        if asked.name == "claim_streak":
            calendar = self._claimed(turn, shadow, asked, calendar, said)
        else:
            zone = decode(asked.data)["time_zone"]
            if said != {"time_zone": zone}:
                self._wrong(f"{turn.actor}: {turn.command_id} sets {said}, not {zone}")
            calendar = calendar._replace(zone=zone)
        kept.append((turn.seq, calendar))

    def _claimed(
        self, turn: TurnRecord, shadow: Shadow, asked: Invocation, before: Calendar, said: dict[str, Any]
    ) -> Calendar:
        claim, at_ms = f"{turn.actor}: {turn.command_id}", turn.recorded_ms
        earliest_ms, latest_ms = self._moments(asked)
        if not earliest_ms <= at_ms <= latest_ms:
            self._wrong(f"{claim} is of {at_ms}, and was decided in {earliest_ms} to {latest_ms}")
        if at_ms < before.opens_ms:
            self._wrong(f"{claim} comes {before.opens_ms - at_ms} ms early, after {before}")
        after = before.claim(at_ms)
        assert after.day is not None
        right = {
            "streak_count": after.count,
            "reward": min(100 * after.count, 1000),
            "claimed_on": after.day.isoformat(),
            "next_claim_at_ms": dawn_ms(_after(after.day, 1), after.zone),
            "gold_balance": shadow.gold,
        }
        if said != right:
            self._wrong(f"{claim} is told {said}, should be {right}")
        gained = shadow.golds[-1] - shadow.golds[-2]
        if gained != right["reward"]:
            self._wrong(f"{claim} brings {gained} gold, not {right['reward']}")
        pushed = [
            decode(data) for kind, data in shadow.pushes[shadow.push_seqs[-2] :] if kind == "streak_update"
        ]
        if [update["streak_count"] for update in pushed] != [after.count]:
            self._wrong(f"{claim} is shown as {pushed}, should be {after.count}")
        return after

    # What players are told

    def refused(self, invocation: Invocation, message: str) -> None:
        """A calendar that was closed, at a moment since it was asked."""
        actor = invocation.actor
        first = self._checks.world.history.first_asked(actor, invocation.command_id) or invocation
        earliest_ms, latest_ms = self._moments(first)
        found = _REFUSAL.fullmatch(message)
        for calendar in self._between(actor, first.floor, self._checks.shadow(actor).seq) if found else ():
            opens = _local(calendar.opens_ms, calendar.zone).strftime("%Y-%m-%d %H:%M")
            minutes = 60 * int(found[3]) + int(found[4])
            least, most = (-((ms - calendar.opens_ms) // 60_000) for ms in (latest_ms, earliest_ms))
            if (found[1], found[2]) == (opens, calendar.zone) and max(1, least) <= minutes <= most:
                return
        self._wrong(f"{actor}: {invocation.command_id} is refused: {message}")

    def shown(self, actor: ActorId, view: dict[str, Any], first_seq: int, last_seq: int) -> None:
        """A profile, as after one of these turns."""
        right = [(c.zone, c.view) for c in self._between(actor, first_seq, last_seq)]
        if (view["time_zone"], view["streak"]) not in right:
            self._wrong(f"{actor}: {view['time_zone']}, {view['streak']} is shown, should be in {right}")
