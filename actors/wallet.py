"""Gold: account names, and transfers together with the balance they leave.

Owns the rules that a balance is never negative and never above ``GOLD_MAX``, and that gold only
moves between accounts. The database checks the first rule again; it is not the place to find out.
"""

from __future__ import annotations

import re

from runtime.behavior import Transfer
from runtime.errors import Rejected

GOLD_MAX = 2**53 - 1
"""The largest balance: every JSON client holds it exactly."""

FAUCET_ADMIN = "faucet:admin"
"""What administrators give comes from here, and what they take goes back."""
FAUCET_STREAK = "faucet:streak"
FAUCET_WELCOME = "faucet:welcome"
HOUSE_OVERFLOW = "house:overflow"
"""Takes what a full purse has no room for."""

INSUFFICIENT_FUNDS = "insufficient_funds"
GOLD_LIMIT = "gold_limit"

_GIFT_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


def player_account(user_id: str) -> str:
    return f"player:{user_id}"


def house_account(game: str) -> str:
    return f"house:{game}"


def gift_escrow(from_user: str, number: int) -> str:
    """The account that holds one gift on its way. ``number`` counts the sender's gifts from 1."""
    return f"escrow:gift:{from_user}:{number}"


def gift_number(account: str, from_user: str) -> int | None:
    """The inverse of ``gift_escrow``; None when ``account`` is no gift escrow of that player."""
    number = account.removeprefix(f"escrow:gift:{from_user}:")
    return int(number) if number != account and _GIFT_NUMBER.fullmatch(number) else None


def crash_escrow(table: str, round_number: int) -> str:
    """The account that holds all stakes of a round of Crash until its bets are settled."""
    return f"escrow:crash:{table}:{round_number}"


def check_funds(gold: int, amount: int) -> None:
    """Raises ``Rejected`` (``insufficient_funds``) when ``amount`` cannot be paid from ``gold``."""
    if amount > gold:
        raise Rejected(f"This takes {amount} gold; you have {gold}.", INSUFFICIENT_FUNDS)


def check_room(gold: int, amount: int) -> None:
    """Raises ``Rejected`` (``gold_limit``) when ``amount`` more would not fit the purse."""
    if gold + amount > GOLD_MAX:
        raise Rejected(f"A purse holds at most {GOLD_MAX} gold.", GOLD_LIMIT)


def pay(gold: int, user_id: str, to: str, amount: int, reason: str) -> tuple[Transfer, int]:
    """Move ``amount`` > 0 from the player to ``to``. Returns the transfer and the balance after it.

    Raises:
        Rejected: ``insufficient_funds``.
    """
    check_funds(gold, amount)
    return Transfer(player_account(user_id), to, amount, reason), gold - amount


def earn(gold: int, user_id: str, source: str, amount: int, reason: str) -> tuple[Transfer, int]:
    """Move ``amount`` > 0 from ``source`` to the player. Returns the transfer and the balance after it.

    Raises:
        Rejected: ``gold_limit``.
    """
    check_room(gold, amount)
    return Transfer(source, player_account(user_id), amount, reason), gold + amount


def earn_what_fits(
    gold: int, user_id: str, source: str, amount: int, reason: str
) -> tuple[list[Transfer], int]:
    """Empty ``source`` of ``amount`` > 0: to the player as far as it fits, the rest to the house.

    For gold that must not be refused because it has already left its sender.
    """
    kept = min(amount, GOLD_MAX - gold)
    transfers = []
    if kept:
        transfers.append(Transfer(source, player_account(user_id), kept, reason))
    if kept < amount:
        transfers.append(Transfer(source, HOUSE_OVERFLOW, amount - kept, reason))
    return transfers, gold + kept


def hold(gold: int, amount: int) -> int:
    """Set ``amount`` > 0 aside: it stays on the player's account, and is no longer theirs to spend.
    Returns the balance without it.

    Raises:
        Rejected: ``insufficient_funds``.
    """
    check_funds(gold, amount)
    return gold - amount


def release(gold: int, user_id: str, amount: int, reason: str) -> tuple[list[Transfer], int]:
    """The inverse of ``hold``, never refused: what no longer fits goes to the house."""
    kept = min(amount, GOLD_MAX - gold)
    if kept == amount:
        return [], gold + kept
    return [Transfer(player_account(user_id), HOUSE_OVERFLOW, amount - kept, reason)], gold + kept
