"""Durable timers: commands that an actor set for itself, delivered when they are due.

The table is an index of what stands; this polls it a little ahead of time. Whether a reminder still
stands when it fires, its actor knows. It is deleted by the turn it causes, so it fires at least
once, and by its command id has effect exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runtime.clock import Clock
from runtime.errors import JournalError
from runtime.identity import ActorId
from runtime.journal import FIRST_REMINDER, Journal, ReminderRecord
from runtime.settings import HostSettings


class Reminders:
    """``deliver`` hands a due reminder to its actor."""

    def __init__(
        self,
        journal: Journal,
        settings: HostSettings,
        clock: Clock,
        owns: Callable[[ActorId], bool],
        deliver: Callable[[ReminderRecord], None],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._owns = owns
        self._deliver = deliver
        self._poll = asyncio.Event()
        self._after = FIRST_REMINDER
        self._armed: dict[tuple[ActorId, str, int], asyncio.TimerHandle] = {}

    def poll_soon(self) -> None:
        self._poll.set()

    async def run(self) -> None:
        page = self._settings.reminders_per_poll_max
        horizon_ms = int(2000 * self._settings.reminder_poll_s)
        while True:
            try:
                async with asyncio.timeout(self._settings.reminder_poll_s):
                    await self._poll.wait()
            except TimeoutError:
                pass
            self._poll.clear()
            now_ms = self._clock.now_ms()
            try:
                due = await self._journal.reminders_due(now_ms + horizon_ms, self._after, page)
            except JournalError:
                continue
            # The table has everybody's reminders: read it page by page, over and over.
            if len(due) == page:
                self._after = (due[-1].due_ms, due[-1].actor, due[-1].name)
                self._poll.set()
            else:
                self._after = FIRST_REMINDER
            for reminder in due:
                self._arm(reminder, now_ms)

    def _arm(self, reminder: ReminderRecord, now_ms: int) -> None:
        key = (reminder.actor, reminder.name, reminder.seq)
        if key in self._armed or not self._owns(reminder.actor):
            return

        def fire() -> None:
            del self._armed[key]
            if self._owns(reminder.actor):
                self._deliver(reminder)

        delay_s = max(0.0, (reminder.due_ms - now_ms) / 1000)
        self._armed[key] = asyncio.get_running_loop().call_later(delay_s, fire)
