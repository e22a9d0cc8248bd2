"""What the journal says an actor is: replayed turn by turn as commits take effect.

The measure for everything the runtime tells the outside. Uses the behavior's ``evolve`` and nothing
else of the runtime's recovery.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from actors.crash.bets import open_bets, settled_bets
from actors.crash.messages import KIND as CRASH
from actors.crash.messages import GetCrashBetsResult
from runtime.activation import Codec
from runtime.behavior import Behavior
from runtime.identity import ActorId, key_of
from runtime.journal import ReminderRecord, SnapshotRecord, TurnRecord
from runtime.turn import decode_body

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


_NO_BETS = encode(GetCrashBetsResult([], []))


@lru_cache(256)
def codec_of(behavior: Behavior[Any]) -> Codec[Any]:
    return Codec(behavior)


class Shadow:
    """One actor, as of its last durable turn."""

    def __init__(self, actor: ActorId, behavior: Behavior[Any]) -> None:
        self.actor = actor
        self.behavior = behavior
        self._codec = codec_of(behavior)
        self.state = behavior.initial(key_of(actor))
        self.seq = 0
        self.pushes: list[tuple[str, bytes]] = []
        """Every outgoing event, in order: the one with push seq n stands at n - 1."""
        self.golds = [self.gold]
        """After each turn; before the first at 0."""
        self.push_seqs = [0]
        self.replies: list[bytes] = []
        self.acknowledged_seq = 0
        """The latest turn that somebody outside has seen the effect of."""
        self.reminders: dict[str, ReminderRecord] = {}
        self.events: Sequence[Any] = ()
        """Of the latest turn."""
        self._shows = behavior.kind == CRASH
        self.views: dict[bytes, list[int]] = {}
        """Of a table: after which push seqs it looked like this."""
        self.bets: list[tuple[int, bytes]] = [(0, _NO_BETS)]
        """Of a session: what its bets look like, from which turn on."""
        self._seen: dict[int, Any] = {}
        if self._shows:
            self._show()

    def feed(self, turn: TurnRecord) -> list[str]:
        """Apply a turn; what is wrong with it."""
        wrong = []
        if turn.seq != self.seq + 1:
            wrong.append(f"turn {turn.seq} after {self.seq}")
        body = decode_body(turn.body)
        self.events = self._codec.events(body.events)
        for event in self.events:
            self.behavior.evolve(self.state, event)
        self.seq = turn.seq
        reply = bytes(body.reply)
        self.replies.append(reply)
        self.pushes += [(push.type, bytes(push.data)) for push in body.pushes]
        if turn.push_seq != len(self.pushes):
            wrong.append(f"push seq {turn.push_seq}, should be {len(self.pushes)}")
        said = decode(reply)
        if isinstance(said, dict):
            wrong += self._said(said)
        self.golds.append(self.gold)
        self.push_seqs.append(turn.push_seq)
        if self._shows:
            self._show()
        elif any(type(event).__name__.startswith("Crash") for event in self.events):
            state: Any = self.state
            self.bets.append((self.seq, encode(GetCrashBetsResult(open_bets(state), settled_bets(state)))))
        return wrong

    @property
    def gold(self) -> int:
        """A table has none."""
        gold: int = getattr(self.state, "gold", 0)
        return gold

    def _said(self, said: dict[str, Any]) -> list[str]:
        wrong = []
        gold = said.get("gold_balance", said.get("gold", self.gold))
        if gold != self.gold:
            wrong.append(f"the reply says {gold} gold, the events say {self.gold}")
        number = said.get("number", self.seq)
        if number != self.seq:
            wrong.append(f"the reply says turn {number}")
        return wrong

    def _show(self) -> None:
        at = self.views.setdefault(encode(self.behavior.view(self.state)), [])
        if not at or at[-1] != len(self.pushes):
            at.append(len(self.pushes))

    def event(self, push_seq: int) -> tuple[str, Any]:
        """An outgoing event as a client should see it."""
        seen = self._seen.get(push_seq)
        if seen is None:
            kind, data = self.pushes[push_seq - 1]
            seen = self._seen[push_seq] = (kind, decode(data))
        return seen

    def check_snapshot(self, snapshot: SnapshotRecord) -> list[str]:
        """Snapshots are committed with, or right after, the turn they stand for."""
        if snapshot.seq != self.seq:
            return [f"a snapshot of turn {snapshot.seq} at turn {self.seq}"]
        wrong = []
        if snapshot.push_seq != len(self.pushes):
            wrong.append(f"a snapshot with push seq {snapshot.push_seq}, not {len(self.pushes)}")
        behavior = self.behavior
        saved = snapshot.state
        if snapshot.schema_version != behavior.schema_version:
            saved = encode(behavior.upgrade(snapshot.schema_version, saved))
        if saved != encode(self.state):
            wrong.append(f"the snapshot of turn {snapshot.seq} differs from the replay")
        return wrong
