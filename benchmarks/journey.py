"""What a bot does next: the player's journey as far as the game goes today.

Owns the choice of commands and their proportions; pure, and reproducible from its seed. Sending,
repeating and measuring is the bot's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

PLAY_REFUSALS = frozenset({"streak_already_claimed", "insufficient_funds", "gold_limit"})
"""Codes with which the game itself says no. They are counted, and do not fail a run."""

UNSUPPORTED = frozenset({"unknown_command"})
"""Codes that say the server has no such command (yet): the journey goes on without it."""

_INDISPENSABLE = frozenset({"claim_streak", "spin_slots"})
_SEED_ONE_IN = 400
_ROTATE_ONE_IN = 900
_GIFT_ONE_IN = 500
_PROFILE_ONE_IN = 250


class Step(NamedTuple):
    name: str
    data: Mapping[str, Any]


class Gold(msgspec.Struct, gc=False):
    """What a bot reads of every result."""

    gold_balance: int | None = None


class Journey:
    """One player's path: claim the streak, then spin and spin, and now and then something else.

    ``neighbours`` are the user ids that may get gifts; the list may grow while the bots run.
    ``disabled`` is shared by all bots of a process and names what the server turned out not to know.
    """

    __slots__ = ("_disabled", "_neighbours", "_random", "_spin", "_stake", "_started", "gold", "user_id")

    def __init__(
        self,
        user_id: str,
        random: Random,
        neighbours: Sequence[str],
        disabled: set[str],
        stake: int = 1,
        machine: str | None = None,
    ) -> None:
        self.user_id = user_id
        self.gold: int | None = None
        """The balance after the last result that told one."""
        self._random = random
        self._neighbours = neighbours
        self._disabled = disabled
        self._stake = stake
        self._started = False
        data: dict[str, Any] = {"stake": stake}
        if machine is not None:
            data["machine"] = machine
        self._spin = Step("spin_slots", data)

    def next_step(self, in_flight: int) -> Step | None:
        """The next command, with ``in_flight`` others unanswered. None when the player is broke."""
        if not self._started:
            self._started = True
            return Step("claim_streak", {})
        draw = self._random.random()
        if draw < 0.02:
            rare = self._rare(draw / 0.02)
            if rare is not None:
                return rare
        if self.gold is not None and self.gold < self._stake * (in_flight + 1):
            return None
        return self._spin

    def disable(self, name: str) -> bool:
        """The server does not know this command. False when the journey cannot do without it."""
        if name in _INDISPENSABLE:
            return False
        self._disabled.add(name)
        return True

    def _rare(self, draw: float) -> Step | None:
        """``draw`` is uniform in 0 … 1 and stands for two commands in a hundred."""
        for name, one_in in (
            ("set_client_seed", _SEED_ONE_IN),
            ("rotate_server_seed", _ROTATE_ONE_IN),
            ("send_gift", _GIFT_ONE_IN),
            ("get_profile", _PROFILE_ONE_IN),
        ):
            share = 50 / one_in
            if draw < share:
                return None if name in self._disabled else self._step(name)
            draw -= share
        return None

    def _step(self, name: str) -> Step | None:
        if name == "set_client_seed":
            return Step(name, {"client_seed": f"{self._random.getrandbits(64):016x}"})
        if name == "send_gift":
            neighbour = self._random.choice(self._neighbours) if self._neighbours else self.user_id
            if neighbour == self.user_id or (self.gold is not None and self.gold < 10 * self._stake):
                return None
            return Step(name, {"to_user": neighbour, "amount": self._stake})
        return Step(name, {})
