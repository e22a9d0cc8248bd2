"""The life of a connection, as one table.

Owns states and what leads from one to the next. What happens on the way is ``gateway.protocol``'s.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    AWAITING_AUTHENTICATION = "awaiting_authentication"
    ATTACHING = "attaching"
    """Authenticated; events of the session are not flowing (yet, or for the moment)."""
    LIVE = "live"
    CLOSING = "closing"


class Happening(enum.Enum):
    AUTHENTICATED = "authenticated"
    ATTACHED = "attached"
    DETACHED = "detached"
    CLOSED = "closed"


TRANSITIONS: dict[tuple[State, Happening], State] = {
    (State.AWAITING_AUTHENTICATION, Happening.AUTHENTICATED): State.ATTACHING,
    (State.ATTACHING, Happening.ATTACHED): State.LIVE,
    (State.LIVE, Happening.DETACHED): State.ATTACHING,
    (State.AWAITING_AUTHENTICATION, Happening.CLOSED): State.CLOSING,
    (State.ATTACHING, Happening.CLOSED): State.CLOSING,
    (State.LIVE, Happening.CLOSED): State.CLOSING,
}
"""The whole lifecycle. What is not here cannot happen."""
