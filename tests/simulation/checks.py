"""The checks that run while the world does, each at the instant at which it could be broken.

Sees commits before their effect, messages as they leave a host, and answers as a client gets them.
Must not change anything. The first violation stops the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from runtime.activation import fingerprint_of
from runtime.behavior import Answer, Refusal
from runtime.command_ids import (
    ALARM_PREFIX,
    ANSWER_PREFIX,
    GENESIS_ID,
    INTERNAL,
    REMINDER_PREFIX,
    answer_id,
    reminder_of,
)
from runtime.identity import ActorId, ShardId, kind_of, shard_of
from runtime.journal import (
    CommitBatch,
    OutboxRecord,
    PushRecord,
    SnapshotRecord,
    StoredTurn,
    TurnRecord,
)
from runtime.stream import Attach, Attached, Deliver, Failure, Misrouted, Pushed, Result, Ticked
from runtime.turn import answer_of, deferred_to, encode
from tests.simulation.database import Watch
from tests.simulation.handovers import Handovers
from tests.simulation.shadow import Shadow, decode
from tests.simulation.streak_checks import REFUSED, StreakChecks
from tests.simulation.table_checks import TableChecks

if TYPE_CHECKING:
    from tests.simulation.history import Invocation
    from tests.simulation.world import World

TABLE_READS = frozenset({"get_crash_history", "get_crash_fairness"})
READS = frozenset({"look", "get_profile", "get_crash_bets", *TABLE_READS})
SAID_BY_THE_TABLE = frozenset(
    {"betting_closed", "table_full", "round_not_running", "round_over", "cash_out_too_early"}
)
"""Refusals that a session can only have heard, and remembers."""
EARLY_MS = 250
"""How much a host's timer may run ahead of its wall clock."""


_decode_pushes = msgspec.msgpack.Decoder(list[PushRecord]).decode


class Checks(Watch):
    """``violations`` are ``(check, what happened)``; ``timeline`` is kept on request."""

    def __init__(self, world: World, with_timeline: bool) -> None:
        self.world = world
        self.violations: list[tuple[str, str]] = []
        self.timeline: list[str] | None = [] if with_timeline else None
        self.shadows: dict[ActorId, Shadow] = {}
        self.sends: dict[str, OutboxRecord] = {}
        """Every durable send that was ever committed."""
        self._placements: dict[str, Any] = {}
        self._shards: dict[ActorId, ShardId] = {}
        self.checked = 0
        self.turns = 0
        self.tables = TableChecks(self)
        self.streaks = StreakChecks(self)
        self.handovers = Handovers(self)

    def note(self, text: str) -> None:
        if self.timeline is not None:
            self.timeline.append(f"{self.world.simulator.now:12.6f}  {text}")

    def violated(self, check: str, what: str) -> None:
        self.note(f"VIOLATION {check}: {what}")
        self.violations.append((check, what))
        self.world.simulator.stopped = True

    def shadow(self, actor: ActorId) -> Shadow:
        shadow = self.shadows.get(actor)
        if shadow is None:
            shadow = self.shadows[actor] = Shadow(actor, self.world.behavior(kind_of(actor)))
        return shadow

    def _owner(self, actor: ActorId) -> int | None:
        shard = self._shards.get(actor)
        if shard is None:
            placement = self.world.behavior(kind_of(actor)).placement
            shard = self._shards[actor] = shard_of(actor, placement)
        return self.world.database.membership._owners.get(shard)

    def assigned(self) -> None:
        self.handovers.assigned()

    # Commits

    def committing(self, batch: CommitBatch) -> None:
        if self.timeline is not None:
            turns = ", ".join(f"{t.actor}:{t.seq} {t.command_id}" for t in batch.turns)
            self.note(
                f"incarnation {batch.incarnation} commits [{turns}] snapshots"
                f" {[f'{s.actor}:{s.seq}' for s in batch.snapshots]} acknowledged {batch.acknowledged}"
                + (f" REFUSED {batch.refused}" if batch.refused else "")
            )
        snapshots: dict[tuple[ActorId, int], Any] = {(s.actor, s.seq): s for s in batch.snapshots}
        if len(snapshots) < len(batch.snapshots):
            snapshots = {}
            for snapshot in batch.snapshots:
                snapshots[snapshot.actor, snapshot.seq] = snapshot
        for turn in batch.turns:
            self._turn(turn, batch.incarnation)
            snapshot = snapshots.pop((turn.actor, turn.seq), None)
            if snapshot is not None:
                self._wrong("snapshot", turn.actor, self.shadow(turn.actor).check_snapshot(snapshot))
        for (actor, _), snapshot in snapshots.items():
            shadow = self.shadow(actor)
            if snapshot.seq >= shadow.seq:
                self._wrong("snapshot", actor, shadow.check_snapshot(snapshot))
            elif self._replaces(snapshot):
                # A commit that was given up long ago, and takes effect now.
                past = Shadow(actor, shadow.behavior)
                for seq in range(1, snapshot.seq + 1):
                    past.feed(self.world.database.turns[actor, seq])
                self._wrong("snapshot", actor, past.check_snapshot(snapshot))
        self.tables.secrecy.batch(batch)
        by_command = self.world.database.journal._by_command
        for command_id in batch.acknowledged:
            send = self.sends.get(command_id)
            if send is None or by_command.get((send.to, command_id)) is None:
                self.violated("sends", f"{command_id} acknowledged before its receiver's turn is durable")
            elif send.then and (send.sender, answer_id(command_id)) not in by_command:
                self.violated("sends", f"{command_id} acknowledged before its answer's turn is durable")
        for command_id, reason in batch.refused:
            self.violated("sends", f"{command_id} refused: {reason}")

    def _replaces(self, snapshot: SnapshotRecord) -> bool:
        known = self.world.database.journal._snapshots.get(snapshot.actor)
        return known is None or known.seq < snapshot.seq

    def _turn(self, turn: TurnRecord, incarnation: int) -> None:
        self.turns += 1
        actor, command_id = turn.actor, turn.command_id
        owner = self._owner(actor)
        if owner != incarnation:
            self.violated(
                "one writer", f"{actor}:{turn.seq} by incarnation {incarnation}, the owner is {owner}"
            )
        if (actor, command_id) in self.world.database.journal._by_command:
            self.violated("exactly once", f"{actor}: {command_id} is applied a second time")
        shadow = self.shadow(actor)
        try:
            self.tables.committing(turn, shadow)
            self._wrong("journal", actor, shadow.feed(turn))
        except Exception as error:
            self.violated("journal", f"{actor}: turn {turn.seq} does not follow on {shadow.seq}: {error!r}")
            return
        if command_id.startswith(REMINDER_PREFIX):
            self._fired(turn, shadow)
        elif command_id.startswith(ANSWER_PREFIX):
            self._brought(turn)
        elif command_id == GENESIS_ID or command_id.startswith(ALARM_PREFIX):
            pass
        elif command_id not in self.sends and not self.world.history.was_asked(actor, command_id):
            self.violated("exactly once", f"{actor}: nobody asked for {command_id}")
        for send in turn.sends:
            if send.command_id in self.sends:
                self.violated("sends", f"{send.command_id} is sent twice")
            self.sends[send.command_id] = send
        for reminder in turn.reminders_set:
            shadow.reminders[reminder.name] = reminder
        for name in turn.reminders_cleared:
            shadow.reminders.pop(name, None)
        self.tables.committed(turn, shadow)
        self.streaks.committed(turn, shadow)

    def _brought(self, turn: TurnRecord) -> None:
        """The answer to a question: what its receiver's turn has come to, and nothing else."""
        question = INTERNAL + turn.command_id.removeprefix(ANSWER_PREFIX)
        send = self.sends.get(question)
        if send is None or not send.then or send.sender != turn.actor:
            self.violated("questions", f"{turn.actor}: {turn.command_id} answers nothing")
            return
        stored = self.world.database.journal._by_command.get((send.to, question))
        reply = None if stored is None else self.final_reply(stored)
        if reply is None:
            self.violated("questions", f"{turn.command_id} is brought before {send.to}'s turn is durable")
            return
        said = answer_of(0, reply)
        if isinstance(said, Failure):
            answer = Answer(refusal=Refusal(said.code, said.message))
        else:
            answer = Answer(bytes(said.data))
        if fingerprint_of(send.then, encode(answer)) != turn.fingerprint:
            self.violated("questions", f"{turn.actor}: {turn.command_id} is not what {send.to} has said")

    def final_reply(self, stored: StoredTurn) -> bytes | None:
        """What a turn's caller is told in the end; None while that is not durable."""
        by_command = self.world.database.journal._by_command
        replies = self.shadow(stored.actor).replies
        reply = replies[stored.seq - 1]
        while (deferral := deferred_to(reply)) is not None:
            answering = by_command.get((stored.actor, deferral))
            if answering is None:
                return None
            reply = replies[answering.seq - 1]
        return reply

    def _fired(self, turn: TurnRecord, shadow: Shadow) -> None:
        name, set_by = reminder_of(turn.command_id)
        reminder = shadow.reminders.get(name)
        if reminder is None or reminder.seq != set_by:
            self.violated(
                "reminders", f"{turn.actor}: {name} set by turn {set_by} fires; there is {reminder}"
            )
        elif turn.recorded_ms < reminder.due_ms - EARLY_MS:
            early_ms = reminder.due_ms - turn.recorded_ms
            self.violated("reminders", f"{turn.actor}: {name} fires {early_ms} ms early")

    def _wrong(self, check: str, actor: ActorId, wrong: list[str]) -> None:
        for what in wrong:
            self.violated(check, f"{actor}: {what}")

    # What comes into a host, and what leaves it

    def enters(self, link: Any, messages: Any) -> None:
        by_command = self.world.database.journal._by_command
        for message in messages:
            kind = type(message)
            if kind is Deliver or kind is Attach:
                link.asked[message.ref] = message
            if kind is Deliver and (row := by_command.get((message.actor, message.command_id))):
                link.repeated[message.ref] = row
            if kind is Deliver and message.sender is not None and message.command_id not in self.sends:
                self.violated("output gate", f"the send {message.command_id} left before its turn is durable")

    def leaves(self, service: Any, link: Any, message: Any) -> None:
        kind = type(message)
        self.tables.secrecy.message(service.process.name, message)
        if kind is Pushed:
            self._speaks(service, message.actor, "a push")
            self._pushed(message)
        elif kind is Ticked:
            self._speaks(service, message.actor, "a tick")
            self.tables.ticked(message.actor, message.item.type, decode(message.item.data))
        elif kind is Misrouted:
            link.asked.pop(message.ref, None)
        elif kind is Result or kind is Failure or kind is Attached:
            request = link.asked.pop(message.ref, None)
            if request is None:
                if not link.is_closed:
                    self.violated("exactly once", f"{service.process.name} answers a second time: {message}")
            elif kind is Result:
                self._replies(service, request, message)
            elif kind is Failure:
                self._refuses(service, request, message, link.repeated.pop(message.ref, None))
            else:
                self._attached(service, message, request)

    def _replies(self, service: Any, request: Deliver, message: Result) -> None:
        self._speaks(service, request.actor, request.command_id)
        stored = self.world.database.journal._by_command.get((request.actor, request.command_id))
        if request.name == "look":
            self._number(request, decode(message.data)["number"])
        if request.name not in READS and (stored is None or self.final_reply(stored) is None):
            self.violated("output gate", f"{request.actor}: the reply to {request.command_id} left early")

    def _refuses(self, service: Any, request: Deliver, message: Failure, row: StoredTurn | None) -> None:
        if message.retryable:
            return
        if row is not None:
            # It was durable before this request came in.
            is_same = row.fingerprint == fingerprint_of(request.name, bytes(request.data))
            if (is_same or message.code != "id_reused") and not self._is_final(row, message):
                self.violated(
                    "exactly once",
                    f"{request.actor}: {request.command_id} was applied, and is refused ({message.code})",
                )
        if message.code == "internal":
            return
        self._speaks(service, request.actor, "a rejection")
        if message.code in ("bad_amount", "insufficient_funds") and kind_of(request.actor) == "vault":
            self._number(request, int(message.message.split()[0]))
        if message.code in SAID_BY_THE_TABLE and kind_of(request.actor) == "session":
            stored = self.world.database.journal._by_command.get((request.actor, request.command_id))
            if stored is None or not self._is_final(stored, message):
                self.violated(
                    "output gate", f"{request.actor}: the refusal of {request.command_id} left early"
                )

    def _is_final(self, stored: StoredTurn, message: Failure) -> bool:
        """Whether this turn was a refusal, and this one."""
        reply = self.final_reply(stored)
        if reply is None:
            return False
        said = answer_of(0, reply)
        return isinstance(said, Failure) and (said.code, said.message) == (message.code, message.message)

    def _number(self, request: Deliver, number: int) -> None:
        """An answer that names the turn it rests on."""
        if number > self.shadow(request.actor).seq:
            self.violated("output gate", f"{request.actor}: {request.command_id} rests on turn {number}")

    def _speaks(self, service: Any, actor: ActorId, what: str) -> None:
        owner = self._owner(actor)
        if owner != service.incarnation:
            self.violated(
                "lease", f"incarnation {service.incarnation} says {what} for {actor}, owned by {owner}"
            )

    def _pushed(self, message: Pushed) -> None:
        pushes = self.shadow(message.actor).pushes
        items: Any = message.items
        if isinstance(items, msgspec.Raw):
            items = _decode_pushes(items)
        last = message.first_seq - 1 + len(items)
        if last > len(pushes):
            self.violated("output gate", f"{message.actor}: push {last} left before its turn is durable")
            return
        said = [(item.type, bytes(item.data)) for item in items]
        if said != pushes[message.first_seq - 1 : last]:
            self.violated("events", f"{message.actor}: push {message.first_seq} is not what the journal has")

    def _attached(self, service: Any, message: Attached, request: Attach) -> None:
        shadow = self.shadow(message.actor)
        if message.position > len(shadow.pushes):
            self.violated("output gate", f"{message.actor}: attached at {message.position} before its turn")
            return
        position = request.after
        for pushed in message.backlog:
            self._pushed(pushed)
            if position is None or pushed.first_seq != position + 1:
                self.violated("events", f"{message.actor}: backlog of {pushed.first_seq} after {position}")
            position = pushed.first_seq + len(pushed.items) - 1
        if message.view is None and position != message.position:
            self.violated(
                "events", f"{message.actor}: attached at {message.position}, the backlog ends at {position}"
            )
        if message.view is not None:
            self._speaks(service, message.actor, "a view")
            view = decode(message.view)
            gold = view.get("gold_balance", view.get("gold"))
            if message.actor in self.tables.books:
                if message.position not in shadow.views.get(message.view, ()):
                    self.violated("linearizable", f"{message.actor}: {view} at {message.position}")
                return
            seqs = [seq for seq in range(shadow.seq, -1, -1) if shadow.push_seqs[seq] == message.position]
            if gold not in [shadow.golds[seq] for seq in seqs]:
                self.violated(
                    "linearizable", f"{message.actor}: a view with {gold} gold at {message.position}"
                )
            elif "streak" in view:
                self.streaks.shown(message.actor, view, seqs[-1], seqs[0])

    # What a client is told

    def answered(self, invocation: Invocation, answer: Result | Failure) -> None:
        """At the instant of the delivery to whoever asked."""
        self.checked += 1
        actor, command_id = invocation.actor, invocation.command_id
        shadow = self.shadow(actor)
        stored = self.world.database.journal._by_command.get((actor, command_id))
        if type(answer) is Failure:
            is_same = stored is None or stored.fingerprint == invocation.fingerprint
            if answer.code == "id_reused" and is_same:
                self.violated("exactly once", f"{actor}: {command_id} is not a reused id")
            elif answer.code in SAID_BY_THE_TABLE and (stored is None or not self._is_final(stored, answer)):
                self.violated("nothing lost", f"{actor}: the refusal of {command_id} is not remembered")
            elif answer.code == REFUSED:
                self.streaks.refused(invocation, answer.message)
            return
        data = bytes(answer.data)
        if stored is not None:
            if stored.fingerprint != invocation.fingerprint:
                self.violated("exactly once", f"{actor}: {command_id} reused, but answered")
            elif data != self.final_reply(stored):
                self.violated("exactly once", f"{actor}: {command_id} got a reply that is not its own")
            if stored.seq <= invocation.floor:
                self.violated(
                    "linearizable",
                    f"{actor}: {command_id} is turn {stored.seq}, turn {invocation.floor} was seen before",
                )
            seq = stored.seq
            self.tables.answered(actor.partition("/")[2], invocation.name, decode(data))
        elif invocation.name not in READS:
            self.violated("nothing lost", f"{actor}: {command_id} is acknowledged and not in the journal")
            return
        else:
            seq = self._read(invocation, shadow, data)
        shadow.acknowledged_seq = max(shadow.acknowledged_seq, seq)

    def _read(self, invocation: Invocation, shadow: Shadow, data: bytes) -> int:
        """The turn that a read saw: not older than what anybody had seen when it was asked."""
        actor, floor = shadow.actor, invocation.floor
        if invocation.name in TABLE_READS:
            return self.tables.read(actor, invocation.name, data, invocation.data, floor)
        said = decode(data)
        if invocation.name == "get_crash_bets":
            latest = max(seq for seq, _ in shadow.bets if seq <= floor)
            if data not in [bets for seq, bets in shadow.bets if seq >= latest]:
                self.violated("linearizable", f"{actor}: {invocation.command_id} saw {said}")
            return floor
        if "number" in said:
            number: int = said["number"]
            if not floor <= number <= shadow.seq or shadow.golds[number] != said["gold"]:
                self.violated(
                    "linearizable",
                    f"{actor}: {invocation.command_id} saw turn {number} with {said['gold']} gold;"
                    f" turn {floor} had been seen, {shadow.seq} is durable",
                )
            return number
        gold = said["gold_balance"]
        if gold not in shadow.golds[floor:]:
            self.violated("linearizable", f"{actor}: {invocation.command_id} saw {gold} gold")
        self.streaks.shown(actor, said, floor, shadow.seq)
        return floor

    def event(self, device: str, actor: ActorId, seq: int, kind: str, data: Any) -> None:
        """An event as a client got it."""
        shadow = self.shadow(actor)
        if seq > len(shadow.pushes):
            self.violated("output gate", f"{device}: event {seq} before its turn is durable")
        elif shadow.event(seq) != (kind, data):
            self.violated("events", f"{device}: event {seq} is not what the journal has")


def fingerprint(name: str, data: bytes) -> int:
    return fingerprint_of(name, data)
