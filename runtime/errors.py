"""The error tree. An error that can reach a client carries its wire code and whether to retry.

RuntimeFault
├── CommandError                what a caller is told; has a wire code
│   ├── Rejected                the actor said no; nothing changed
│   ├── IdReused                the command id stands for another command
│   ├── Overloaded              a bounded queue is full; retry
│   ├── Unavailable             no owner could be reached in time; retry with the same id
│   └── InternalError           a defect; nothing changed
├── StaleEpoch                  a host was asked to act on a map older than the one it knows
└── JournalError                what a host is told by its journal
    ├── Fenced                  this incarnation may write no more
    ├── CommitUnknown           the commit may or may not have happened
    ├── DuplicateTurn           a command id, or a sequence number, is already in the journal
    └── CommitRefused           the database will never accept this batch
"""

from __future__ import annotations


class RuntimeFault(Exception):
    """Root of everything this runtime raises on purpose."""


class CommandError(RuntimeFault):
    """An error a caller is told. ``code`` is stable and documented; ``message`` is for people."""

    code = "internal"
    retryable = False

    def __init__(self, message: str, code: str | None = None, retryable: bool | None = None) -> None:
        # Plain positional arguments, so that the error survives a pickle on its way through Ray.
        super().__init__(message, code, retryable)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Rejected(CommandError):
    """The actor refused the command. Nothing changed and nothing was journaled."""

    code = "rejected"


class IdReused(CommandError):
    """The same command id arrived with other content."""

    code = "id_reused"


class Overloaded(CommandError):
    code = "overloaded"
    retryable = True


class Unavailable(CommandError):
    code = "unavailable"
    retryable = True


class InternalError(CommandError):
    code = "internal"


class StaleEpoch(RuntimeFault):
    """A later map is known: the request comes from a coordinator that is behind."""


class JournalError(RuntimeFault):
    """Root of what a journal raises."""


class Fenced(JournalError):
    """The incarnation was fenced: another host owns its shards, or will soon."""


class CommitUnknown(JournalError):
    """The reply to a commit was lost. Re-read before retrying."""


class DuplicateTurn(JournalError):
    """The journal already holds a row with this (actor, command id) or (actor, sequence number)."""


class CommitRefused(JournalError):
    """A constraint forbids the batch, now and on every retry: a turn in it is defective."""
