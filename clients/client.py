"""The asynchronous client: one player, any number of connections, commands answered exactly once.

Owns the connection's life and the deadlines of commands. What frames mean is decided in
``protocol``, what the end of a connection means in ``connection``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypedDict, Unpack
from uuid import uuid4

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clients.backoff import Backoff
from clients.commands import DEFAULT_TIMEOUT_S, PlayerCommands
from clients.connection import Interrupted, end_of, open_connection
from clients.crash_watch import CrashWatch
from clients.errors import (
    AuthenticationFailed,
    ClientClosed,
    ClientError,
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
)
from clients.protocol import (
    Authenticated,
    AuthenticationRefused,
    Broadcast,
    Duplicate,
    Event,
    Failure,
    Gap,
    Protocol,
    RenewalRefused,
    Renewed,
    Result,
)
from clients.sign_in import addresses_of
from clients.state import ClientState
from clients.subscription import BroadcastStream, EventStream
from clients.token_keeper import TokenKeeper, TokenProvider
from clients.topics import Topics


class Options(TypedDict, total=False):
    """See ``CasinoClient.connect``."""

    token: str | None
    guest: bool
    username: str | None
    password: str | None
    token_provider: TokenProvider | None
    resume_from: int | None
    connect_timeout: float
    in_flight_max: int
    message_bytes_max: int
    backoff: Backoff | None


class CasinoClient(PlayerCommands):
    """A player's connection to the casino.

    Use it as an asynchronous context manager::

        async with CasinoClient.connect("http://localhost:8000", guest=True) as client:
            result = await client.spin_slots(stake=10)

    While it is open, it reconnects after any loss with jittered back-off, resumes the event
    stream after the last event seen, and sends commands that wait for an answer again under
    their own ids, so each is applied at most once however often it was sent.

    Once the server refuses the token for good, or speaks another protocol, the client stops:
    everything waiting, and everything asked later, raises that error.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        guest: bool = False,
        username: str | None = None,
        password: str | None = None,
        token_provider: TokenProvider | None = None,
        resume_from: int | None = None,
        connect_timeout: float = 15.0,
        in_flight_max: int = 32,
        message_bytes_max: int = 1024 * 1024,
        backoff: Backoff | None = None,
    ) -> None:
        """See :meth:`connect`."""
        self.state = ClientState()
        """What the events have told so far. It is complete once the client has connected."""
        self.reconnects = 0
        """Connections made after the first."""
        self._addresses = addresses_of(url)
        self._tokens = TokenKeeper(
            self._addresses.http,
            token=token,
            guest=guest,
            provider=token_provider,
            username=username,
            password=password,
        )
        self._connect_timeout_s = connect_timeout
        self._message_bytes_max = message_bytes_max
        self._backoff = backoff or Backoff()
        self._protocol = Protocol(resume_from)
        self._slots = asyncio.Semaphore(in_flight_max)
        self._waiting: dict[str, asyncio.Future[Result | Failure]] = {}
        self._sent: set[str] = set()
        self._streams: list[EventStream] = []
        self._topics = Topics(self.command)
        self._socket: ClientConnection | None = None
        self._ready = asyncio.Event()
        self._stopped: ClientError | None = None
        self._interruption: Interrupted | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def connect(cls, url: str, **options: Unpack[Options]) -> CasinoClient:
        """Prepare a client; entering it connects, and raises if that fails.

        Args:
            url: the server, such as ``http://localhost:8000`` or ``wss://casino.example``.
            token: an access token. Soon after it expires, the client stops with ``AuthenticationFailed``.
            guest: sign in as a new guest.
            username: sign in with this name and ``password``. Here, as with ``guest``, tokens are renewed
                before they expire, and the connection goes on.
            password: goes with ``username``.
            token_provider: asked for a token at the start and after each refusal, for whoever renews
                tokens elsewhere. Exactly one of these four ways must be given.
            resume_from: number of the last event seen by an earlier client of the same player.
            connect_timeout: seconds to keep trying for the first connection.
            in_flight_max: commands awaiting an answer at a time; more wait for their turn.
            message_bytes_max: largest frame accepted from the server.
            backoff: delays between connection attempts; by default 0.1 s doubling up to 10 s.
        """
        return cls(url, **options)

    async def __aenter__(self) -> CasinoClient:
        if self._task is not None:
            raise ClientClosed("a client can be entered only once")
        self._task = asyncio.create_task(self._run(), name="casino-client")
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._ready.wait()
        except TimeoutError:
            await self.close()
            raise ConnectionLost(
                f"no connection to {self._addresses.sync} within {self._connect_timeout_s:g} s"
            ) from self._interruption
        except BaseException:
            await self.close()
            raise
        if self._stopped is not None:
            await self.close()
            raise self._stopped
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether commands would be sent at once."""
        return self._protocol.authenticated

    @property
    def token(self) -> str | None:
        """The access token in use."""
        return self._tokens.token

    async def access_token(self) -> str:
        """An access token that is good now, for requests to the REST interface.

        Raises:
            AuthenticationFailed: there is none to be had.
            ConnectionLost: not now.
        """
        return await self._tokens.current()

    @property
    def last_seq(self) -> int | None:
        """Number of the last event seen; give it to a later client as ``resume_from``."""
        return self._protocol.last_seq

    @property
    def event_gaps(self) -> int:
        """Times that an event was missing. Each led to a resume; see ``event_duplicates``, too."""
        return self._protocol.sequence.gaps

    @property
    def event_duplicates(self) -> int:
        """Events that came more than once and were dropped."""
        return self._protocol.sequence.duplicates

    async def command(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Give a command and wait for its durable result.

        Args:
            name: the command's ``type`` in the protocol.
            data: its fields.
            id: the idempotency key; a fresh one by default. Give the id of a command whose outcome
                is unknown, with the same data, to learn the outcome.
            timeout: seconds until :class:`CommandTimeout`, over all attempts and connections.

        Raises:
            CommandFailed: the server refused it for good.
            CommandTimeout: no final answer in time; the error says whether the outcome is unknown.
            ClientError: the client has stopped.
        """
        command_id = id or uuid4().hex
        if command_id in self._waiting:
            raise ValueError(f"command id {command_id!r} is in flight")
        try:
            async with asyncio.timeout(timeout), self._slots:
                return await self._until_answered(name, data or {}, command_id)
        except TimeoutError:
            was_sent = command_id in self._sent
            raise CommandTimeout(command_id, name, timeout, outcome_unknown=was_sent) from None
        finally:
            self._sent.discard(command_id)

    def events(self, events_max: int = 1000) -> EventStream:
        """Subscribe to the player's events from now on: ``async for event in client.events()``.

        At most ``events_max`` events wait to be read; after that the oldest is dropped and
        counted in ``EventStream.dropped``. Gap-free otherwise, across reconnects.
        """
        stream = EventStream(events_max, self._unsubscribe)
        if self._stopped is not None:
            stream.finish(self._stopped)
        else:
            self._streams.append(stream)
        return stream

    async def subscribe(self, topic: str) -> None:
        """Have everything told that happens on a topic, such as ``crash/main``: read it from
        :meth:`broadcasts`. Asked for again by itself after a reconnect, when the topic begins again with
        its whole state.

        Raises:
            CommandFailed: ``unknown_topic``, or ``too_many_topics``.
        """
        await self._topics.subscribe(topic)

    async def unsubscribe(self, topic: str) -> None:
        """Undo one :meth:`subscribe`; topics that something else here still needs stay subscribed."""
        await self._topics.unsubscribe(topic)

    def broadcasts(self, events_max: int = 1000) -> BroadcastStream:
        """What is told on all subscribed topics, from now on. Not part of :meth:`events`: broadcasts have
        no numbers, and what is told while there is no connection is lost."""
        stream = BroadcastStream(events_max, self._topics.remove)
        if self._stopped is not None:
            stream.finish(self._stopped)
        else:
            self._topics.add(stream)
        return stream

    def watch_crash(self, table: str = "main", events_max: int = 1000) -> CrashWatch:
        """Watch a Crash table: ``async with client.watch_crash() as watch``."""
        return CrashWatch(table, self._topics, self._addresses.http, events_max)

    async def close(self) -> None:
        """Disconnect. Commands that wait raise :class:`ClientClosed`. Idempotent."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._stop(ClientClosed("the client was closed"))

    def _unsubscribe(self, stream: EventStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)

    async def _until_answered(self, name: str, data: Mapping[str, Any], command_id: str) -> dict[str, Any]:
        backoff = Backoff(base_s=0.05, ceiling_s=2.0)
        while True:
            answer = await self._exchange(name, data, command_id)
            if isinstance(answer, Result):
                return answer.data
            if not answer.retryable:
                raise CommandFailed(command_id, answer.code, answer.message, answer.retryable)
            await asyncio.sleep(backoff.next_s())

    async def _exchange(self, name: str, data: Mapping[str, Any], command_id: str) -> Result | Failure:
        if self._stopped is not None:
            raise self._stopped
        frame = self._protocol.command(name, data, command_id)
        future: asyncio.Future[Result | Failure] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = future
        try:
            if self._protocol.authenticated and self._socket is not None:
                self._sent.add(command_id)
                # A failed send is not this command's failure: the reader sees the same loss, and
                # the frame is sent again on the next connection.
                with contextlib.suppress(ConnectionClosed):
                    await self._socket.send(frame)
            return await future
        finally:
            self._protocol.forget(command_id)
            self._waiting.pop(command_id, None)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._one_connection()
                except Interrupted as interruption:
                    self._interruption = interruption
                    await asyncio.sleep(self._backoff.next_s())
        except ClientError as error:
            self._stop(error)
        except Exception as error:
            failure = ConnectionLost(f"the client failed: {error!r}")
            failure.__cause__ = error
            self._stop(failure)

    async def _one_connection(self) -> None:
        try:
            token = await self._tokens.current()
        except ConnectionLost as error:
            raise Interrupted(str(error)) from error
        if self._tokens.user_id is not None:
            self.state.user_id = self._tokens.user_id
        try:
            await self._converse(token)
        except AuthenticationFailed:
            if not self._tokens.refused():
                raise
            raise Interrupted("the token was refused; asking for another") from None

    async def _converse(self, token: str) -> None:
        socket = await open_connection(self._addresses.sync, self._message_bytes_max, self._connect_timeout_s)
        renewing: asyncio.Task[None] | None = None
        try:
            self._socket = socket
            await socket.send(self._protocol.authenticate(token))
            async with asyncio.timeout(self._connect_timeout_s) as deadline:
                while True:
                    happening = self._protocol.receive(await socket.recv())
                    if isinstance(happening, Authenticated):
                        deadline.reschedule(None)
                        renewing = asyncio.create_task(self._tokens.keep_current(token, self._show))
                    await self._take(happening, socket)
        except ConnectionClosed as error:
            raise end_of(error) from error
        except TimeoutError:
            raise Interrupted("no answer to the authentication") from None
        finally:
            if renewing is not None:
                renewing.cancel()
            self._socket = None
            self._protocol.connection_lost()
            await socket.close()

    async def _show(self, token: str) -> None:
        # When it cannot be sent, the connection has ended, and the next one begins with this token.
        with contextlib.suppress(ConnectionClosed):
            if self._socket is not None:
                await self._socket.send(self._protocol.renewal(token))

    async def _take(self, happening: object, socket: ClientConnection) -> None:
        match happening:
            case Result(id=command_id) | Failure(id=command_id):
                future = self._waiting.get(command_id)
                if future is not None and not future.done():
                    future.set_result(happening)
            case Event():
                self.state.apply(happening)
                for stream in self._streams:
                    stream.put(happening)
                # When resumed, no initial_state follows: there may be nothing to tell.
                if happening.type == "initial_state" or happening.data.get("resumed") is True:
                    self._ready.set()
            case Broadcast():
                self._topics.tell(happening)
            case Renewed():
                self._tokens.accepted()
            case RenewalRefused(code=code):
                raise Interrupted(f"a newer token: {code}")
            case Authenticated():
                self._tokens.accepted()
                self._topics.connected()
                await self._resend(socket)
            case AuthenticationRefused(code=code, message=message, retryable=retryable):
                if retryable:
                    raise Interrupted(f"authentication: {code}")
                raise AuthenticationFailed(code, message)
            case Gap(expected=expected, received=received):
                raise Interrupted(f"events {expected} to {received - 1} are missing")
            case Duplicate() | _:
                pass

    async def _resend(self, socket: ClientConnection) -> None:
        if self._ready.is_set():
            self.reconnects += 1
        self._backoff.reset()
        self._sent.update(self._waiting)
        for frame in self._protocol.in_flight():
            await socket.send(frame)

    def _stop(self, error: ClientError) -> None:
        if self._stopped is None:
            self._stopped = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._stopped)
        for stream in self._streams:
            stream.finish(None if isinstance(error, ClientClosed) else error)
        self._streams.clear()
        self._topics.stop(None if isinstance(error, ClientClosed) else error)
        self._ready.set()
