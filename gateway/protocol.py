"""One connection as a pure state machine: no sockets, no timers, no event loop.

Messages, times and outcomes go in; what is to be done comes out through ``Actions``. It decides
what a client may do when, and what it is told. It must not wait and must not read a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.catalogue import UNREADABLE, Command, InvalidData
from gateway.codec import Codec, raw_map
from gateway.connection_lifecycle import TRANSITIONS, Happening, State
from gateway.counters import Counters
from gateway.limits import Limits
from gateway.revocations import BAN, Verdict
from gateway.schema import (
    AUTHENTICATE,
    CLOSE_BANNED,
    CLOSE_INTERNAL,
    CLOSE_NOT_AUTHENTICATED,
    CLOSE_POLICY,
    CLOSE_TIMEOUT,
    CLOSE_TRY_LATER,
    ERRORS,
    ID_CHARS_MAX,
    SUBSCRIBE,
    SYNC_CONNECTED,
    UNSUBSCRIBE,
    AuthenticateResult,
    ClientFrame,
    ConnectionLimits,
    ErrorData,
    ErrorFrame,
    EventFrame,
    SyncConnectedData,
    TopicResult,
)
from gateway.tokens import Bearer, TokenError, TokenExpired, UserBanned
from runtime.clock import Clock
from runtime.stream import Failure, Result


class Actions(Protocol):
    """What a connection asks of the world. All return at once."""

    def send(self, frames: bytes) -> None:
        """Write finished WebSocket frames, after everything sent before."""
        ...

    def submit(self, command_id: str, name: str, data: bytes) -> None:
        """Give the command to the user's session; its outcome comes to ``Connection.answered``."""
        ...

    def subscribe(self, user_id: str, after: int | None) -> None:
        """Begin to receive the session's events: ``attached``, then ``deliver``."""
        ...

    def join_topic(self, topic: str) -> None:
        """Send the topic's view, and from then on its events. Anew, when it was joined before."""
        ...

    def leave_topic(self, topic: str) -> None:
        """Send no more of the topic's events."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Send a close frame. Nothing is sent after it."""
        ...


@dataclass(frozen=True)
class Terms:
    """What all connections of a gateway have in common."""

    limits: Limits
    commands: Mapping[str, Command]
    verify_token: Callable[[str], Bearer]
    """Whom an access token names; raises ``TokenError``."""
    clock: Clock
    counters: Counters
    topics: Container[str] = frozenset()
    """Names of the topics there are."""


class Connection:
    """The protocol of one client, from the end of the opening handshake on.

    ``now`` is monotonic time in seconds, the same clock throughout.
    """

    __slots__ = (
        "_actions",
        "_authenticate_by",
        "_commands",
        "_invalid_messages",
        "_is_greeted",
        "_limits",
        "_refilled_at",
        "_terms",
        "_token_issued_s",
        "_tokens",
        "_topics",
        "codec",
        "connection_id",
        "in_flight",
        "state",
        "user_id",
    )

    def __init__(self, terms: Terms, codec: Codec, actions: Actions, connection_id: str, now: float) -> None:
        self._terms = terms
        self._limits = terms.limits
        self._commands = terms.commands
        self._actions = actions
        self.codec = codec
        self.connection_id = connection_id
        self.state = State.AWAITING_AUTHENTICATION
        self.user_id = ""
        self._token_issued_s = 0
        self.in_flight = 0
        """Commands submitted and not answered."""
        self._authenticate_by = now + terms.limits.authentication_deadline_s
        """When the first token, or the next one, must have been shown."""
        self._invalid_messages = 0
        self._is_greeted = False
        self._topics: set[str] = set()
        self._tokens = float(terms.limits.messages_burst)
        self._refilled_at = now

    # What the client does

    def receive(self, payload: bytes, now: float) -> None:
        """One message from the client."""
        state = self.state
        if state is State.CLOSING:
            return
        try:
            message = self.codec.envelope(payload)
        except UNREADABLE as error:
            if self.charge(now):
                self._invalid(self._salvaged_id(payload), "invalid_message", str(error))
            return
        command_id = message.id
        if not 0 < len(command_id) <= ID_CHARS_MAX or not command_id.isprintable():
            if self.charge(now):
                self._invalid(None, "invalid_id")
            return
        if now != self._refilled_at:
            self._refill(now)
        self._tokens -= 1.0
        if self._tokens < 0.0:
            self._over_the_rate(command_id)
            return
        if state is State.AWAITING_AUTHENTICATION:
            self._authenticate(message, now)
            return
        command = self._commands.get(message.type)
        if command is None:
            self._other(message, now)
            return
        if self.in_flight >= self._limits.in_flight_commands_max:
            self._error(command_id, "too_many_in_flight")
            return
        try:
            data = self.codec.command(command, message.data)
        except InvalidData as error:
            self._invalid(command_id, "invalid_data", str(error))
            return
        self.in_flight += 1
        self._terms.counters.commands_submitted += 1
        self._actions.submit(command_id, command.name, data)

    def charge(self, now: float) -> bool:
        """Take one message's worth off the rate, for frames that are no command (pings too).

        False when the connection is over its rate.
        """
        if now != self._refilled_at:
            self._refill(now)
        self._tokens -= 1.0
        if self._tokens < 0.0:
            self._over_the_rate(None)
            return False
        return True

    def _refill(self, now: float) -> None:
        limits = self._limits
        gained = (now - self._refilled_at) * limits.messages_per_s
        self._tokens = min(float(limits.messages_burst), self._tokens + gained)
        self._refilled_at = now

    def _over_the_rate(self, command_id: str | None) -> None:
        # The bucket runs into debt: whoever keeps on sending regardless is cut off.
        if self._tokens < -self._limits.messages_burst:
            self.close(CLOSE_POLICY, "sustained flood")
        else:
            self._error(command_id, "rate_limited")

    def _authenticate(self, message: ClientFrame, now: float) -> None:
        if message.type != AUTHENTICATE:
            self._error(message.id, "not_authenticated")
            self.close(CLOSE_NOT_AUTHENTICATED, "not_authenticated")
            return
        try:
            data = self.codec.authenticate(message.data)
        except UNREADABLE as error:
            self._invalid(message.id, "invalid_data", str(error))
            return
        try:
            bearer = self._terms.verify_token(data.token)
        except TokenError as refusal:
            self._error(message.id, refusal.code)
            is_banned = isinstance(refusal, UserBanned)
            self.close(CLOSE_BANNED if is_banned else CLOSE_NOT_AUTHENTICATED, refusal.code)
            return
        self.user_id = bearer.user_id
        self._happens(Happening.AUTHENTICATED)
        self._rest_on(bearer, message.id, now)
        self._actions.subscribe(bearer.user_id, data.resume_from)

    def _authenticate_again(self, message: ClientFrame, now: float) -> None:
        """Another token of the same user. Whatever else comes leaves the connection as it was."""
        try:
            bearer = self._terms.verify_token(self.codec.authenticate(message.data).token)
        except UNREADABLE as error:
            self._invalid(message.id, "invalid_data", str(error))
        except TokenError as refusal:
            self._invalid(message.id, refusal.code)
        else:
            if bearer.user_id == self.user_id:
                self._rest_on(bearer, message.id, now)
            else:
                self._invalid(message.id, "already_authenticated")

    def _rest_on(self, bearer: Bearer, message_id: str, now: float) -> None:
        """The connection lasts as long as this token, and ends with it."""
        self._token_issued_s = bearer.issued_s
        left_s = bearer.expires_s - self._terms.clock.now_ms() / 1000
        self._authenticate_by = now + left_s + self._limits.token_grace_s
        self._actions.send(self.codec.result(message_id, raw_map(AuthenticateResult(bearer.user_id))))

    def _other(self, message: ClientFrame, now: float) -> None:
        """A message that is no command of the session."""
        if message.type == SUBSCRIBE or message.type == UNSUBSCRIBE:
            self._subscribe_or_leave(message)
        elif message.type == AUTHENTICATE:
            self._authenticate_again(message, now)
        else:
            self._invalid(message.id, "unknown_command")

    def _subscribe_or_leave(self, message: ClientFrame) -> None:
        try:
            topic = self.codec.topic(message.data).topic
        except UNREADABLE as error:
            self._invalid(message.id, "invalid_data", str(error))
            return
        topics = self._topics
        if topic not in self._terms.topics:
            self._error(message.id, "unknown_topic")
            return
        is_subscribing = message.type == SUBSCRIBE
        if is_subscribing and topic not in topics and len(topics) >= self._limits.topics_per_connection_max:
            self._error(message.id, "too_many_topics")
            return
        self._terms.counters.results_sent += 1
        self._actions.send(self.codec.result(message.id, raw_map(TopicResult(topic))))
        if is_subscribing:
            topics.add(topic)
            self._actions.join_topic(topic)
        elif topic in topics:
            topics.remove(topic)
            self._actions.leave_topic(topic)

    # What the session says

    def answered(self, command_id: str, outcome: Result | Failure) -> None:
        """The outcome of a submitted command."""
        self.in_flight -= 1
        if self.state is State.CLOSING:
            return
        if isinstance(outcome, Result):
            self._terms.counters.results_sent += 1
            self._actions.send(self.codec.result(command_id, outcome.data))
        else:
            self._terms.counters.errors_sent[outcome.code] += 1
            error = ErrorData(outcome.code, outcome.message, outcome.retryable)
            self._actions.send(self.codec.error(ErrorFrame(command_id, error)))

    def attached(self, resumed: bool, position: int) -> None:
        """Events flow from here on; the state or the missed events come next."""
        if self.state is State.CLOSING:
            return
        self._happens(Happening.ATTACHED)
        if self._is_greeted:
            return
        self._is_greeted = True
        limits = self._limits
        now_ms = self._terms.clock.now_ms()
        greeting = SyncConnectedData(
            connection_id=self.connection_id,
            protocol=self.codec.subprotocol,
            server_time=now_ms,
            resumed=resumed,
            position=position,
            limits=ConnectionLimits(
                limits.message_bytes_max,
                limits.in_flight_commands_max,
                limits.messages_per_s,
                limits.messages_burst,
            ),
        )
        event = EventFrame(SYNC_CONNECTED, self.user_id, raw_map(greeting), now_ms, None)
        self._actions.send(self.codec.event(event))

    def deliver(self, frames: bytes) -> None:
        """Events of the session, encoded for this connection's subprotocol."""
        if self.state is not State.CLOSING:
            self._actions.send(frames)

    def detached(self) -> None:
        """Events stop flowing until ``attached``; none will be missed."""
        if self.state is State.LIVE:
            self._happens(Happening.DETACHED)

    def attach_failed(self, failure: Failure) -> None:
        """The session could not be reached, for good."""
        if failure.retryable:
            self.close(CLOSE_TRY_LATER, failure.code)
        else:
            self.close(CLOSE_INTERNAL, failure.code)

    def signed_out(self, verdicts: Mapping[str, Verdict]) -> None:
        """Tokens were voided, by user id; whoever came in with one of them has to go."""
        verdict = verdicts.get(self.user_id)
        if verdict is None or self._token_issued_s >= verdict.not_before_s:
            return
        if verdict.because == BAN:
            self.close(CLOSE_BANNED, "banned")
        else:
            self.close(CLOSE_NOT_AUTHENTICATED, "token_revoked")

    # Time, and the end

    def check_deadline(self, now: float) -> None:
        if now < self._authenticate_by:
            return
        if self.state is State.AWAITING_AUTHENTICATION:
            self.close(CLOSE_TIMEOUT, "authentication timeout")
        else:
            self.close(CLOSE_NOT_AUTHENTICATED, TokenExpired.code)

    def close(self, code: int, reason: str) -> None:
        """Close for a reason of ours. Does nothing when closing already."""
        if self.closed():
            self._actions.close(code, reason)

    def closed(self) -> bool:
        """The connection ends, whoever wanted it. False when it was ending already."""
        if self.state is State.CLOSING:
            return False
        self._happens(Happening.CLOSED)
        return True

    def _happens(self, happening: Happening) -> None:
        self.state = TRANSITIONS[self.state, happening]

    # What goes wrong

    def _invalid(self, command_id: str | None, code: str, message: str = "") -> None:
        self._error(command_id, code, message)
        self._invalid_messages += 1
        if self._invalid_messages >= self._limits.invalid_messages_max:
            self.close(CLOSE_POLICY, "too many invalid messages")

    def _error(self, command_id: str | None, code: str, message: str = "") -> None:
        meaning = ERRORS[code]
        self._terms.counters.errors_sent[code] += 1
        error = ErrorData(code, message or meaning.meaning, meaning.retryable)
        self._actions.send(self.codec.error(ErrorFrame(command_id, error)))

    def _salvaged_id(self, payload: bytes) -> str | None:
        """The id of a message that is no command, so that its sender can tell which one failed."""
        try:
            message = self.codec.anything(payload)
        except UNREADABLE:
            return None
        candidate = message.get("id") if isinstance(message, dict) else None
        if isinstance(candidate, str) and 0 < len(candidate) <= ID_CHARS_MAX and candidate.isprintable():
            return candidate
        return None
