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
