"""What an actor is to the runtime: pure functions of (state, command, context).

A behavior never waits, never reads a clock and never draws randomness by itself; what it needs
of the world stands in the context, and what it made of it stands in the events. ``evolve`` must
depend on nothing but state and event, so that replaying the journal rebuilds the state exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import msgspec

from runtime.identity import ActorId, Packed, Placement

State = TypeVar("State", bound=msgspec.Struct)


class Transfer(NamedTuple):
    """``amount`` > 0 units of gold move from ``debit`` to ``credit`` (account names).

    Accounts that begin with ``player:`` or ``escrow:`` can never go below zero.
    """

    debit: str
    credit: str
    amount: int
    reason: str


class Push(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An event for every socket that is attached to the actor. ``data`` encodes to a map."""

    type: str
    data: msgspec.Struct | Mapping[str, Any]


class Send(NamedTuple):
    """A durable command to another actor: delivered at least once, applied exactly once.

    With ``then`` it is a question: what the other actor makes of it comes back as a command of
    that name, whose data is an :class:`Answer`. The send stands until that turn is durable.
    """

    to: ActorId
    name: str
    data: msgspec.Struct
    then: str = ""


class Refusal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A reply that says no. Unlike a raised ``Rejected`` it may come with events, and it is
    remembered: the same command id is refused in the same way for ever."""

    code: str
    message: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a question came to: the data of its ``then`` command."""

    reply: bytes = b""
    """The other actor's reply, a MessagePack map; empty when it refused."""
    refusal: Refusal | None = None


class Alarm(NamedTuple):
    """A timer that follows from the state, and is kept in memory only: nothing stored betrays its
    time. It fires ``name`` at ``at_ms`` or later, under a command id made of ``id``: a turn that
    an alarm of one ``id`` causes happens once, for ever, whoever believes to be the owner."""

    at_ms: int
    name: str
    data: msgspec.Struct
    id: str


class Remind(NamedTuple):
    """Deliver a command to the same actor at ``due_ms`` or later. ``name`` is unique in the actor;
    setting it again moves it, ``due_ms=None`` cancels it."""

    name: str
    due_ms: int | None
    command: str = ""
    data: msgspec.Struct | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What a command comes to. No events: nothing is journaled, and only the reply leaves.

    ``reply`` None defers it: the caller gets the reply of the turn that answers this decision's
    question, of which there must be exactly one.
    """

    reply: msgspec.Struct | Mapping[str, Any] | None
    events: Sequence[msgspec.Struct] = ()
    pushes: Sequence[Push] = ()
    transfers: Sequence[Transfer] = ()
    sends: Sequence[Send] = ()
    reminders: Sequence[Remind] = ()


class Context(msgspec.Struct, frozen=True, gc=False):
    """The world, as far as a decision may see it."""

    actor: ActorId
    command_id: str
    now_ms: int
    entropy: Callable[[int], bytes]
    """``entropy(n)`` draws n unpredictable bytes; record what you drew in an event."""
    sender: ActorId | None = None
    """The actor whose durable send this is; ``None`` for a client's command."""


@dataclass(frozen=True)
class CommandSpec:
    """A command by name: how its data and its result look, and who may give it."""

    name: str
    data: type[msgspec.Struct]
    result: type[msgspec.Struct]
    summary: str
    audience: Literal["player", "public", "system"] = "player"
    """``player``: a client may send it to its own session. ``public``: it reads what anyone may know.
    ``system``: only actors and operators."""
    errors: tuple[str, ...] = ()
    """The codes it is rejected with, besides those every command can meet."""


@dataclass(frozen=True)
class PushSpec:
    """An outgoing event by name (its ``type`` on the wire): how its data looks."""

    name: str
    data: type[msgspec.Struct]
    summary: str


class Behavior(ABC, Generic[State]):
    """One kind of actor.

    Events are tagged msgspec Structs (``tag=…``) and ``events`` is their union; what ``evolve``
    accepts today it must accept for ever, because the journal keeps them.
    """

    kind: ClassVar[str]
    placement: Placement = Packed()
    state_type: type[State]
    events: Any
    """Union of the event Structs, for decoding the journal."""
    schema_version: ClassVar[int] = 1
    """Version of the encoded state in snapshots. Raise it when ``state_type`` changes."""
    snapshot_interval_turns: ClassVar[int | None] = None
    """Turns between snapshots, where the host's own measure does not fit a state of this size."""
    mailbox_messages_max: ClassVar[int | None] = None
    """Commands of one actor that may wait, where the host's own measure is too small for a meeting place."""
    always_on: ClassVar[bool] = False
    """Placed from the start, loaded as soon as a host owns it, never passivated. Only for a dedicated
    kind whose groups are its keys."""
    tick_interval_ms: ClassVar[int] = 0
    """How often ``tick`` is asked; 0 is never."""
    genesis: tuple[str, msgspec.Struct] | None = None
    """``(command name, data)`` run right before the first client's request to an actor that ``is_new``.
    Durable sends reach a new actor without it."""

    @property
    @abstractmethod
    def commands(self) -> Mapping[str, CommandSpec]: ...

    @property
    @abstractmethod
    def pushes(self) -> Mapping[str, PushSpec]: ...

    @abstractmethod
    def initial(self, key: str) -> State:
        """The state of an actor that has never had a turn."""

    @abstractmethod
    def decide(self, state: State, command: Any, context: Context) -> Decision:
        """Decide a command (an instance of its spec's ``data``). Must not change ``state``.

        Raises :class:`runtime.errors.Rejected` to refuse it.
        """

    @abstractmethod
    def evolve(self, state: State, event: Any) -> None:
        """Apply one event in place. Never refuses: the event has happened."""

    def is_new(self, state: State) -> bool:
        """Whether ``genesis`` has yet to run."""
        return False

    def alarm(self, state: State) -> Alarm | None:
        """The next thing that time alone will bring. Asked after each turn and after loading."""
        return None

    def tick(self, state: State, now_ms: int) -> Push | None:
        """What subscribers should see of the passing of time. Not journaled, not numbered; a slow
        reader may miss all but the latest."""
        return None

    def describe(self, state: State) -> str:
        """The state in a few words, for operators."""
        return ""

    @abstractmethod
    def view(self, state: State) -> msgspec.Struct | Mapping[str, Any]:
        """What a client sees as ``initial_state``."""

    def upgrade(self, version: int, state: bytes) -> State:
        """Decode a snapshot that an earlier ``schema_version`` wrote (MessagePack)."""
        raise ValueError(f"{self.kind}: no way to read a version {version} snapshot")
