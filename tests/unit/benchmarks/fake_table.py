"""A Crash table for the fake casino: real hashes, a script of rounds, and time that runs faster.

It keeps the rules and breaks them on request, one named fault at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any

from actors.games.crash import crash_point, multiplier_at

if TYPE_CHECKING:
    from tests.unit.benchmarks.fake_casino import FakeCasino, Player

SALT = "5a17" * 16


class Refused(Exception):
    """``args[0]`` is the error code."""


@dataclass
class Bet:
    player: Player
    stake: int
    auto: int | None
    multiplier: int | None = None
    settled: bool = False


def chain(length: int, low: int, high: int, seed: int = 0) -> list[bytes]:
    """h(0) … h(length) whose rounds 1 … length all end between ``low`` and ``high`` hundredths."""
    while True:
        links = [hashlib.sha256(f"seed {seed}".encode()).digest()]
        while len(links) <= length:
            links.append(hashlib.sha256(links[-1]).digest())
        links.reverse()
        if all(low <= crash_point(link, SALT) <= high for link in links[1:]):
            return links
        seed += 1


class FakeTable:
    """``speed`` ms of a round pass in one ms of the clock; it ticks every ``tick_s`` of the clock."""

    def __init__(
        self,
        rounds: int = 4,
        low: int = 150,
        high: int = 500,
        betting_s: float = 0.15,
        pause_s: float = 0.03,
        speed: int = 100,
        tick_s: float = 0.01,
        faults: frozenset[str] = frozenset(),
    ) -> None:
        self.casino: FakeCasino
        self.chain = chain(rounds, low, high)
        self.faults = faults
        self.round = 0
        self.phase = "pause"
        self.bets: dict[str, Bet] = {}
        self.history: list[dict[str, Any]] = []
        self.settlements: list[tuple[str, int, int]] = []
        self.subscriptions = 0
        self._betting_s = betting_s
        self._pause_s = pause_s
        self._speed = speed
        self._tick_s = tick_s
        self._shown = 100
        self._betting_ends_ms = 0
        self._started_ms: int | None = None

    # What clients ask

    def view(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "betting_ends_ms": self._betting_ends_ms,
            "started_ms": self._started_ms,
            "next_round_ms": None,
            "players": len(self.bets),
            "staked": 0,
            "bets": [],
            "history": self.history[-10:][::-1],
            "previous_hash": self.chain[max(0, self.round - 1)].hex(),
            "stake_min": 1,
            "stake_max": 1000,
        }

    def apply(self, player: Player, name: str, data: dict[str, Any]) -> dict[str, Any]:
        if name == "place_crash_bet":
            return self._place(player, data)
        if name == "cash_out_crash":
            return self._cash_out(player)
        return {"open": [], "settled": list(reversed(player.settled[-20:]))}

    def _place(self, player: Player, data: dict[str, Any]) -> dict[str, Any]:
        if self.phase != "betting":
            raise Refused("betting_closed")
        if player.user_id in self.bets:
            raise Refused("bet_already_placed")
        auto, stake = data["auto_cash_out"], data["stake"]
        self.bets[player.user_id] = Bet(player, stake, round(auto * 100) if auto is not None else None)
        player.gold -= stake
        return {**self._names(), "stake": stake, "auto_cash_out": auto, "gold_balance": player.gold}

    def _cash_out(self, player: Player) -> dict[str, Any]:
        bet = self.bets.get(player.user_id)
        if bet is None or bet.settled:
            raise Refused("no_open_bet")
        if self.phase != "running":
            raise Refused("round_not_running" if self.phase == "betting" else "round_over")
        if self._shown < 101:
            raise Refused("cash_out_too_early")
        payout = bet.stake * self._shown // 100
        bet.settled = True
        player.gold += payout
        if "wrong_gold" in self.faults:
            player.gold += 1
        self._remember(bet, self._shown, payout)
        return {
            **self._names(),
            "stake": bet.stake,
            "multiplier": self._shown / 100,
            "payout": payout,
            "gold_balance": player.gold,
        }

    # Rounds

    async def run(self) -> None:
        """Play the script, round after round."""
        for number in range(1, len(self.chain)):
            await self._round(number, crash_point(self.chain[number], SALT))
            await asyncio.sleep(self._pause_s)

    async def _round(self, number: int, point: int) -> None:
        self.round, self.phase, self.bets, self._shown = number, "betting", {}, 100
        self._betting_ends_ms = int((time() + self._betting_s) * 1000)
        self._tell("crash_betting_opened", betting_ends_ms=self._betting_ends_ms, server_ms=0)
        await asyncio.sleep(self._betting_s)
        self.phase, self._started_ms = "running", int(time() * 1000)
        self._tell("crash_started", started_ms=self._started_ms, players=len(self.bets), staked=0)
        elapsed_ms = 0
        while multiplier_at(elapsed_ms) <= point:
            self._shown = multiplier_at(elapsed_ms)
            self._tell("crash_tick", elapsed_ms=elapsed_ms, multiplier=self._shown / 100)
            self._pay_targets(self._shown)
            await asyncio.sleep(self._tick_s)
            elapsed_ms += int(self._tick_s * 1000) * self._speed
        if "tick_above" in self.faults:
            self._tell("crash_tick", elapsed_ms=elapsed_ms, multiplier=multiplier_at(elapsed_ms) / 100)
        self._pay_targets(point)
        self._crash(number, point)

    def _pay_targets(self, reached: int) -> None:
        paid = []
        for bet in self.bets.values():
            if not bet.settled and bet.auto is not None and bet.auto <= reached:
                if "lost_below" in self.faults:
                    continue
                paid.append({"user_id": bet.player.user_id, "multiplier": bet.auto / 100, "payout": 0})
                self._settle(bet, bet.auto)
        if paid:
            self._tell("crash_cashed_out", cash_outs=paid[:25], cashed_out=len(paid), paid=0)

    def _crash(self, number: int, point: int) -> None:
        self.phase, self._started_ms = "crashed", None
        told = point + 1 if "wrong_crash_point" in self.faults else point
        previous = self.chain[0 if "broken_link" in self.faults else number - 1]
        end = {
            "crash_point": told / 100,
            "hash": self.chain[number].hex(),
            "ended": "crashed",
            "multiplier": told / 100,
        }
        self._tell("crash_crashed", **end, previous_hash=previous.hex(), players=0, staked=0, paid=0)
        self.history.append({"round": number, **end, "at_ms": 0, "bets": 0, "staked": 0, "paid": 0})
        for bet in self.bets.values():
            if not bet.settled and "never_settled" not in self.faults:
                self._settle(bet, None)

    def _settle(self, bet: Bet, multiplier: int | None) -> None:
        bet.settled = True
        player = bet.player
        payout = bet.stake * multiplier // 100 if multiplier is not None else 0
        if "wrong_payout" in self.faults and multiplier is not None:
            payout += 1
        player.gold += payout
        self._remember(bet, multiplier, payout)
        told = {
            **self._names(),
            "stake": bet.stake,
            "auto_cash_out": bet.auto / 100 if bet.auto is not None else None,
            "multiplier": multiplier / 100 if multiplier is not None else None,
            "payout": payout,
            "gold_balance": player.gold,
        }
        self.casino.push(player, "profile_update", {"changes": {"gold_balance": player.gold}})
        for _ in range(2 if "settled_twice" in self.faults else 1):
            self.casino.push(player, "crash_bet_settled", told)

    def _remember(self, bet: Bet, multiplier: int | None, payout: int) -> None:
        self.settlements.append((bet.player.user_id, self.round, payout))
        bet.player.settled.append(
            {
                **self._names(),
                "stake": bet.stake,
                "auto_cash_out": None,
                "status": "crashed" if multiplier is None else "cashed_out",
                "multiplier": multiplier / 100 if multiplier is not None else None,
                "payout": payout,
                "at_ms": 0,
            }
        )

    def _names(self) -> dict[str, Any]:
        return {"table": "main", "round": self.round}

    def _tell(self, kind: str, **data: Any) -> None:
        self.casino.broadcast(kind, {**self._names(), **data})
