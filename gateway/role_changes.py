"""Telling a session which role its account has.

Whoever changes a role tells the session, and whoever issues a token with a role tells it before: so
no token speaks of a role that the player's session has not heard of. However often it is told, a
change has effect once, and never after a later one.
"""

from __future__ import annotations

from gateway.fanout import session_of
from gateway.idempotency import role_command
from gateway.questions import ask
from runtime.routing import ActorRouter

SET_ROLE = "set_role"


async def tell_session(router: ActorRouter, user_id: str, role: str, change: int) -> None:
    """Wait until the session knows. ``change`` is the account's ``role_changes``; 0, which no session
    needs to hear of, is not told.

    Raises:
        Problem: 503, the session cannot be reached at the moment.
    """
    if change > 0:
        data = {"role": str(role), "change": change}
        await ask(router, session_of(user_id), SET_ROLE, data, role_command(change))
