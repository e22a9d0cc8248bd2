"""Rebuilds an actor from its journal alone, without snapshots: the proof that the journal is whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic

import msgspec

from runtime.activation import Codec
from runtime.behavior import Behavior, State
from runtime.journal import SnapshotRecord, StoredTurn
from runtime.turn import decode_body

_encode = msgspec.msgpack.Encoder().encode


class Replay(Generic[State]):
    """Feed it every turn from the first on. ``problems`` lists what does not fit."""

    def __init__(self, behavior: Behavior[State], key: str, snapshot: SnapshotRecord | None = None) -> None:
        self._codec = Codec(behavior)
        self._behavior = behavior
        self._snapshot = snapshot
        self.state = behavior.initial(key)
        self.seq = 0
        self.push_seq = 0
        self.events = 0
        self.snapshot_checked = False
        self.problems: list[str] = []

    def feed(self, turns: Iterable[StoredTurn]) -> None:
        for turn in turns:
            if turn.seq != self.seq + 1:
                self.problems.append(f"turn {self.seq + 1} is missing before turn {turn.seq}")
            body = decode_body(turn.body)
            for event in self._codec.events(body.events):
                self._behavior.evolve(self.state, event)
                self.events += 1
            if turn.push_seq != self.push_seq + len(body.pushes):
                self.problems.append(f"turn {turn.seq} breaks the numbering of outgoing events")
            self.seq, self.push_seq = turn.seq, turn.push_seq
            if self._snapshot is not None and self._snapshot.seq == turn.seq:
                self._check_snapshot(self._snapshot)

    def _check_snapshot(self, snapshot: SnapshotRecord) -> None:
        self.snapshot_checked = True
        if snapshot.schema_version != self._behavior.schema_version:
            saved = _encode(self._behavior.upgrade(snapshot.schema_version, snapshot.state))
        else:
            saved = snapshot.state
        if saved != _encode(self.state):
            self.problems.append(f"the snapshot after turn {snapshot.seq} differs from the replay")
