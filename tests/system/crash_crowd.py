"""Players who bet at a table through whatever happens to it, and each remember what they were told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import msgspec

from clients import CasinoClient
from clients.errors import CommandFailed
from tests.system.crash_watcher import CrashWatcher

ANSWER_S = 90.0
"""Far more than any failure takes: an answer that comes later than this is lost."""


class Said(msgspec.Struct):
    """A command and its answer: a reply, or the code of a refusal."""

    user_id: str
    id: str
    name: str
    data: dict[str, Any]
    reply: dict[str, Any] | None
    code: str | None

    def answer(self) -> tuple[dict[str, Any] | None, str | None]:
        return self.reply, self.code


class Player:
    def __init__(self, url: str, number: int) -> None:
        self.client = CasinoClient.connect(url, guest=True, connect_timeout=60)
        self.log: list[Said] = []
        self.gold_before = 0
        self._number = number
        self._random = random.Random(number)

    @property
    def user_id(self) -> str:
        return self.client.state.user_id or ""

    async def give(self, name: str, data: dict[str, Any], command_id: str) -> Said:
        """Give a command, and again for as long as its outcome is unknown."""
        said = Said(self.user_id, command_id, name, data, None, None)
        try:
            said.reply = await self.client.command(name, data, id=command_id, timeout=ANSWER_S)
        except CommandFailed as failure:
            said.code = failure.code
        return said

    async def play(self, watcher: CrashWatcher, stop: asyncio.Event) -> None:
        """Bet once in each round; every third player leaves it to the house, one cashes out by hand."""
        assert self.client.state.gold_balance is not None
        self.gold_before = self.client.state.gold_balance
        draw = self._random
        while True:
            before = watcher.round
            await watcher.until(lambda: stop.is_set() or watcher.opens_after(before), 600)  # noqa: B023
            if stop.is_set():
                return
            # Some come too late, which is as it should be.
            await asyncio.sleep(draw.uniform(0, 0.7))
            data: dict[str, Any] = {"stake": draw.randint(1, 99), "table": watcher.table}
            if self._number % 3:
                data["auto_cash_out"] = draw.choice((1.01, 1.04, 1.08, 1.1, 1.13, 1.3))
            placed = await self._do("place_crash_bet", data)
            if placed.reply is not None and self._number % 3 != 1:
                await self._cash_out(watcher, placed.reply["round"])

    async def _cash_out(self, watcher: CrashWatcher, number: int) -> None:
        await asyncio.sleep(self._random.uniform(0, 2.0))
        if watcher.round == number:
            await self._do("cash_out_crash", {"table": watcher.table})

    async def _do(self, name: str, data: dict[str, Any]) -> Said:
        said = await self.give(name, data, f"{self._number}-{len(self.log)}-{self._random.getrandbits(64):x}")
        self.log.append(said)
        return said

    async def bets(self) -> dict[str, Any]:
        return await self.client.get_crash_bets(timeout=ANSWER_S)


class Crowd:
    """Players at one table, playing while the body runs."""

    def __init__(self, url: str, players: int, watcher: CrashWatcher) -> None:
        self.players = [Player(url, number) for number in range(players)]
        self._watcher = watcher
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Crowd:
        await asyncio.gather(*(player.client.__aenter__() for player in self.players))
        self._playing = [
            asyncio.create_task(player.play(self._watcher, self._stop)) for player in self.players
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._playing:
            task.cancel()
        for player in self.players:
            with contextlib.suppress(Exception):
                await player.client.close()

    async def all_answer_s(self) -> float:
        """Seconds until every player has had an answer from its session."""
        began_s = time.monotonic()
        await asyncio.gather(*(player.bets() for player in self.players))
        return time.monotonic() - began_s

    async def stop(self) -> None:
        """Have everybody finish what they began, and wait until no bet is open any more."""
        self._stop.set()
        async with asyncio.timeout(ANSWER_S):
            await asyncio.gather(*self._playing)
            for player in self.players:
                while (await player.bets())["open"]:
                    await asyncio.sleep(0.2)

    async def say_again(self, known: set[tuple[str, str]], each_max: int) -> tuple[int, list[str]]:
        """Give commands again whose ids are ``known`` to have been used up, so many of each player at
        most, from the first to the last. Returns how many, and those that were answered otherwise."""

        async def of(player: Player) -> list[str]:
            log = [said for said in player.log if (said.user_id, said.id) in known]
            answers = []
            for said in log[:: -(-len(log) // each_max) or 1]:
                again = await player.give(said.name, said.data, said.id)
                same = again.answer() == said.answer()
                answers.append("" if same else f"{said} was answered by {again.answer()}")
            return answers

        answers = [each for found in await asyncio.gather(*map(of, self.players)) for each in found]
        return len(answers), [each for each in answers if each]
