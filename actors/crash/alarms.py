"""What time alone will bring to a table next. Owns the pace of announcements and payments.

The time of a round's end tells its crash point: it goes into an alarm, which is never stored.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.crash.round import Ending, Phase
from actors.crash.table_commands import Announce, EndPhase, SettleBets
from actors.crash.table_state import TableState
from actors.games.crash import elapsed_until
from runtime.behavior import Alarm

SHOW_INTERVAL_MS = 250
"""New bets and cash-outs are shown together, this often at most."""
AUTO_INTERVAL_MS = 100
"""Bets that reach their targets within this time are paid in one turn."""


def next_alarm(state: TableState, ending: Callable[[], Ending], is_closing: bool) -> Alarm | None:
    """``ending`` is asked for a running round only: how it ends when nobody is paid before.

    The ids say what an alarm is for, so that each phase ends once, for ever.
    """
    if state.phase is Phase.RUNNING:
        return _running(state, ending())
    if state.phase is Phase.PAUSE:
        if is_closing:
            return None
        return _end_phase(state, state.next_round_ms or 0)
    if state.phase is Phase.CRASHED:
        if not state.owed:
            return _end_phase(state, state.ended_ms)
        number = state.settlings
        name = f"{state.round}/crashed/{number}"
        return Alarm(state.ended_ms, "settle_bets", SettleBets(state.round, number), name)
    show_ms = state.shown_ms + SHOW_INTERVAL_MS
    if state.new_bets and show_ms < state.betting_ends_ms:
        return _announce(state, show_ms)
    return _end_phase(state, state.betting_ends_ms)


def _running(state: TableState, ending: Ending) -> Alarm:
    assert state.started_ms is not None
    times = [ending.at_ms]
    if state.new_bets or state.new_cash_outs:
        times.append(state.shown_ms + SHOW_INTERVAL_MS)
    if state.targets and state.targets[0][0] <= ending.multiplier:
        reached_ms = state.started_ms + elapsed_until(state.targets[0][0])
        # One that an earlier turn had no room for does not wait again.
        if reached_ms > state.progressed_ms:
            reached_ms = max(reached_ms, min(state.progressed_ms + AUTO_INTERVAL_MS, ending.at_ms))
        if reached_ms <= ending.at_ms:
            # Its payment may put a forced end off.
            times[0] = reached_ms
            return _announce(state, min(times))
        times.append(reached_ms)
    at_ms = min(times)
    return _end_phase(state, at_ms) if at_ms == ending.at_ms else _announce(state, at_ms)


def _end_phase(state: TableState, at_ms: int) -> Alarm:
    data = EndPhase(state.round, state.phase)
    return Alarm(at_ms, "end_phase", data, f"{state.round}/{state.phase.value}")


def _announce(state: TableState, at_ms: int) -> Alarm:
    number = state.progressions
    return Alarm(at_ms, "announce", Announce(state.round, number), f"{state.round}/announce/{number}")
