"""The command ids that the runtime makes by itself, and what can be read from them.

All begin with a character that gateways refuse in a client's id, so that nobody can take one in
advance. Each names the one thing that it stands for, so that however often it is done, and by
whichever incarnation, it has effect once.
"""

from __future__ import annotations

from runtime.identity import ActorId
from runtime.journal import ReminderRecord

INTERNAL = "\x01"
GENESIS_ID = f"{INTERNAL}genesis"
REMINDER_PREFIX = f"{INTERNAL}reminder/"
ALARM_PREFIX = f"{INTERNAL}alarm/"
ANSWER_PREFIX = f"{INTERNAL}answer/"

RESERVED_KINDS = frozenset({"reminder", "alarm", "answer"})
"""A send's id begins with its sender's address: no kind of actor may be called like a prefix."""


def send_id(actor: ActorId, seq: int, index: int) -> str:
    """Of the ``index``-th send of turn ``seq``. Of fixed width, so that the order of the ids of one
    actor is the order of its sends."""
    return f"{INTERNAL}{actor}:{seq:012d}:{index:03d}"


def answer_id(send: str) -> str:
    """Of the command that brings a question's answer back, by the id of the question's send."""
    return ANSWER_PREFIX + send.removeprefix(INTERNAL)


def alarm_id(name: str) -> str:
    return ALARM_PREFIX + name


def reminder_id(reminder: ReminderRecord) -> str:
    return f"{REMINDER_PREFIX}{reminder.name}/{reminder.seq}"


def reminder_of(command_id: str) -> tuple[str, int]:
    """The inverse of ``reminder_id``: the reminder's name, and the turn that set it."""
    name, _, set_by = command_id.removeprefix(REMINDER_PREFIX).rpartition("/")
    return name, int(set_by)
