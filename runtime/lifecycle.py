"""The life of an activation, as one table.

::

    LOADING ──loaded──▶ ACTIVE ──idle, snapshot queued──▶ PASSIVATING ──committed──▶ GONE
       ▲                 │ ▲ │                                │ │
       └──rolled back────┘ │ └──shard leaves──▶ DRAINING ──▶ GONE
                           └─────────a command arrived────────┘

LOADING: commands wait in the mailbox. ACTIVE: they run at once, ahead of the commit; what they say
waits in the output gate. DRAINING: they are sent on to the next owner. Losing the shard without
warning ends an activation from any phase.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    LOADING = 0
    ACTIVE = 1
    PASSIVATING = 2
    DRAINING = 3
    GONE = 4


TRANSITIONS: frozenset[tuple[Phase, Phase]] = frozenset(
    {
        (Phase.LOADING, Phase.ACTIVE),
        (Phase.LOADING, Phase.GONE),
        (Phase.ACTIVE, Phase.LOADING),
        (Phase.ACTIVE, Phase.PASSIVATING),
        (Phase.ACTIVE, Phase.DRAINING),
        (Phase.ACTIVE, Phase.GONE),
        (Phase.PASSIVATING, Phase.ACTIVE),
        (Phase.PASSIVATING, Phase.LOADING),
        (Phase.PASSIVATING, Phase.DRAINING),
        (Phase.PASSIVATING, Phase.GONE),
        (Phase.DRAINING, Phase.GONE),
    }
)


class IllegalTransition(RuntimeError):
    """A defect of the runtime: a phase change that the table does not have."""


def check(before: Phase, after: Phase) -> Phase:
    """``after``, when the table allows it."""
    if (before, after) not in TRANSITIONS:
        raise IllegalTransition(f"{before.name} → {after.name}")
    return after
