"""The commands of the game as methods, so that an editor can complete them.

Owns names and fields of commands; how a command gets there and back is the client's. What each
result holds is in the server's AsyncAPI document.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

DEFAULT_TIMEOUT_S = 10.0


class PlayerCommands(ABC):
    """Every method raises what :meth:`command` raises. ``timeout`` is in seconds."""

    @abstractmethod
    async def command(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Give any command by name and wait for its durable result."""

    async def spin_slots(
        self, stake: int, machine: str | None = None, *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """Spin a slot machine once for ``stake`` gold; the server's default machine if none is named.

        The result has ``gold_balance``, ``payout``, ``symbols`` and what
        :func:`clients.verification.verify_slots` needs.
        """
        data: dict[str, Any] = {"stake": stake}
        if machine is not None:
            data["machine"] = machine
        return await self.command("spin_slots", data, timeout=timeout)

    async def claim_streak(self, *, timeout: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
        """Claim today's streak reward. Fails with ``streak_already_claimed`` the second time in a day."""
        return await self.command("claim_streak", {}, timeout=timeout)

    async def get_profile(self, *, timeout: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
        """The player as the server sees it now."""
        return await self.command("get_profile", {}, timeout=timeout)

    async def send_gift(
        self, to_user: str, amount: int, *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """Give gold to another player."""
        return await self.command("send_gift", {"to_user": to_user, "amount": amount}, timeout=timeout)

    async def set_client_seed(
        self, client_seed: str, *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """Choose the player's half of the randomness of later plays: letters, digits, ``_``, ``.``, ``-``."""
        return await self.command("set_client_seed", {"client_seed": client_seed}, timeout=timeout)

    async def rotate_server_seed(self, *, timeout: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
        """Have the server reveal its seed, so that earlier plays can be verified, and commit to a new one."""
        return await self.command("rotate_server_seed", {}, timeout=timeout)

    async def place_crash_bet(
        self,
        stake: int,
        table: str = "main",
        auto_cash_out: float | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Bet on the round that is open for bets. With ``auto_cash_out``, 1.01 to 1,000,000 in steps of
        0.01, the house cashes out at exactly that multiplier, if the round gets there.

        The result has ``round``, ``stake``, ``auto_cash_out`` and ``gold_balance``. What became of the
        bet comes as the event ``crash_bet_settled``. Fails with ``betting_closed`` while a round runs,
        and with ``bet_already_placed`` the second time in a round.
        """
        data: dict[str, Any] = {"stake": stake, "table": table}
        if auto_cash_out is not None:
            data["auto_cash_out"] = auto_cash_out
        return await self.command("place_crash_bet", data, timeout=timeout)

    async def cash_out_crash(
        self, table: str = "main", *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """Cash out the open bet, at the multiplier of the moment at which the table takes the command.

        The result has ``round``, ``stake``, ``multiplier``, ``payout`` and ``gold_balance``. Fails with
        ``round_over`` once it has crashed.
        """
        return await self.command("cash_out_crash", {"table": table}, timeout=timeout)

    async def get_crash_bets(self, *, timeout: float = DEFAULT_TIMEOUT_S) -> dict[str, Any]:
        """The player's bets: ``open``, and the latest ``settled``, newest first."""
        return await self.command("get_crash_bets", {}, timeout=timeout)
