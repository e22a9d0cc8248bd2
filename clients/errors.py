"""Everything the client raises on purpose.

ClientError
├── CommandFailed           the server answered with an error
├── CommandTimeout          no answer within the deadline; says whether the outcome is unknown
├── AuthenticationFailed    the token, or the sign-in, was refused; the client has stopped
├── ProtocolViolation       the server does not speak this protocol; the client has stopped
├── ConnectionLost          no connection could be made, or it was given up
├── UnfairRound             a round of Crash is not what its chain of hashes had fixed beforehand
└── ClientClosed            the client was closed while, or before, something was asked of it
"""

from __future__ import annotations


class ClientError(Exception):
    """Root of the client's errors."""


class CommandFailed(ClientError):
    """The server refused a command. Nothing changed.

    ``code`` is stable and documented by the server; ``message`` is for people. Errors with
    ``retryable`` were already retried, under the same id, until the deadline.
    """

    def __init__(self, command_id: str, code: str, message: str, retryable: bool) -> None:
        super().__init__(command_id, code, message, retryable)
        self.command_id = command_id
        self.code = code
        self.message = message
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class CommandTimeout(ClientError, TimeoutError):
    """A command had no final answer within its deadline.

    ``outcome_unknown`` is True when the command was sent at least once: it may have been applied,
    it may be applied yet, or it may never be. To learn which, give the same command again with
    ``id=command_id`` and the same data: the server applies it at most once and returns the first
    reply. It is False when the command never left this machine.
    """

    def __init__(self, command_id: str, name: str, timeout_s: float, outcome_unknown: bool) -> None:
        # One argument only: TimeoutError is an OSError, which reads two or more as errno and text.
        super().__init__(command_id)
        self.command_id = command_id
        self.name = name
        self.timeout_s = timeout_s
        self.outcome_unknown = outcome_unknown

    def __reduce__(self) -> tuple[type[CommandTimeout], tuple[str, str, float, bool]]:
        return CommandTimeout, (self.command_id, self.name, self.timeout_s, self.outcome_unknown)

    def __str__(self) -> str:
        if self.outcome_unknown:
            return (
                f"{self.name}: no answer within {self.timeout_s:g} s; the outcome is unknown. "
                f"Ask again with id={self.command_id!r} and the same data"
            )
        return f"{self.name}: not sent within {self.timeout_s:g} s; nothing happened"


class AuthenticationFailed(ClientError):
    """The server refused the token, or the sign-in. Final: the client does not try again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ProtocolViolation(ClientError):
    """The server sent what protocol version 1 does not allow, or does not offer that version."""


class ConnectionLost(ClientError, ConnectionError):
    """There is no connection, and the client has stopped trying to get one."""


class UnfairRound(ClientError):
    """What the house told of a round of Crash contradicts what it had committed itself to.

    ``problem`` says what does not agree, with the numbers and hashes that prove it.
    """

    def __init__(self, table: str, round: int, problem: str) -> None:
        super().__init__(table, round, problem)
        self.table = table
        self.round = round
        self.problem = problem

    def __str__(self) -> str:
        return f"round {self.round} of table {self.table!r}: {self.problem}"


class ClientClosed(ClientError):
    """The client is closed."""
