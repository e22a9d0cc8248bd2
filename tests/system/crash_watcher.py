"""One who watches a Crash table over a socket, remembers it all, and notes what contradicts itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from hashlib import sha256
from types import TracebackType
from typing import Any, NamedTuple, Self

from clients import CasinoClient
from clients.protocol import Broadcast

_PHASES = {
    "crash_betting_opened": "betting",
    "crash_started": "running",
    "crash_tick": "running",
    "crash_crashed": "crashed",
}


class Heard(NamedTuple):
    at_s: float
    """Monotonic."""
    type: str
    data: dict[str, Any]


class CrashWatcher:
    """Follows a table while it is entered, through every loss of the connection."""

    def __init__(self, url: str, table: str = "main") -> None:
        self.table = table
        self.client = CasinoClient.connect(url, guest=True, connect_timeout=30)
        self.phase = ""
        self.round = 0
        self.heard: list[Heard] = []
        """Everything but ticks."""
        self.heard_at_s = 0.0
        self.crashes: dict[int, dict[str, Any]] = {}
        """How each round ended: ``crash_crashed``."""
        self.contradictions: list[str] = []
        self._highest: dict[int, float] = {}
        self._started: dict[int, int] = {}
        self._waiting: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        stream = self.client.broadcasts(events_max=100_000)
        self._reading = asyncio.create_task(self._read(stream))
        await self.client.subscribe(f"crash/{self.table}")
        await self.until(lambda: self.phase != "")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self.client.close()

    async def until(self, condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
        """Wait for the event that makes it true."""
        async with asyncio.timeout(deadline_s):
            while not condition():
                arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(arrival)
                await arrival

    def opens_after(self, number: int) -> bool:
        """Whether a later round takes bets now."""
        return self.phase == "betting" and self.round > number

    async def enters(self, phase: str) -> int:
        """The number of the round that enters ``phase`` next. Nobody is told of a pause, which comes
        when the bets are settled."""
        announced = "crashed" if phase == "pause" else phase
        event = next(name for name, meaning in _PHASES.items() if meaning == announced)
        before = len(self.heard)
        await self.until(lambda: any(heard.type == event for heard in self.heard[before:]))
        if phase == "pause":
            await asyncio.sleep(0.2)
        return self.round

    async def ends(self, number: int) -> dict[str, Any]:
        await self.until(lambda: number in self.crashes)
        return self.crashes[number]

    async def _read(self, stream: Any) -> None:
        async for broadcast in stream:
            if broadcast.data.get("table") != self.table:
                continue
            self._take(broadcast)
            waiting, self._waiting = self._waiting, []
            for arrival in waiting:
                if not arrival.done():
                    arrival.set_result(None)

    def _take(self, broadcast: Broadcast) -> None:
        kind, data = broadcast.type, broadcast.data
        self.heard_at_s = time.monotonic()
        if kind != "crash_tick":
            self.heard.append(Heard(self.heard_at_s, kind, data))
        number = data["round"]
        if number < self.round:
            self._note(f"{kind} of round {number} after round {self.round}")
        self.round = number
        self.phase = data["phase"] if kind == "crash_state" else _PHASES.get(kind, self.phase)
        if kind == "crash_state":
            for ended in data["history"]:
                self._ended(ended)
        if number in self.crashes and self.phase in ("betting", "running"):
            self._note(f"round {number} goes on after its end: {kind}")
        if (
            data.get("started_ms")
            and self._started.setdefault(number, data["started_ms"]) != data["started_ms"]
        ):
            self._note(f"round {number} started twice")
        multipliers = [data.get("multiplier"), *(each["multiplier"] for each in data.get("cash_outs", ()))]
        multipliers += [bet["multiplier"] for bet in data.get("bets", ()) if "multiplier" in bet]
        shown = max((each for each in multipliers if each is not None), default=0.0)
        self._highest[number] = max(shown, self._highest.get(number, 0.0))
        if kind == "crash_crashed":
            if sha256(bytes.fromhex(data["hash"])).hexdigest() != data["previous_hash"]:
                self._note(f"round {number} is not linked to the one before")
            self._ended(data)
            self.crashes[number] = data

    def _ended(self, ended: dict[str, Any]) -> None:
        number = ended["round"]
        known = self.crashes.get(number, ended)
        for name in ("hash", "crash_point", "ended", "multiplier"):
            if known[name] != ended[name]:
                self._note(f"round {number} has two ends: {known} and {ended}")
        if self._highest.get(number, 0.0) > ended["multiplier"]:
            self._note(f"round {number} showed {self._highest[number]} and ended at {ended['multiplier']}")

    def _note(self, what: str) -> None:
        self.contradictions.append(what)
