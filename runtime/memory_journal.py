"""The ports to durable storage kept in memory, for tests and for the deterministic simulation.

Same answers as the database gives (``tests/contract`` runs one suite on both), but nothing
survives the process. Must not sleep, read a real clock or draw randomness: leases are measured
by the injected ``Clock``, and every method answers without giving up the event loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runtime.behavior import Transfer
from runtime.clock import Clock
from runtime.errors import CommitRefused, DuplicateTurn, Fenced
from runtime.identity import ActorId, ShardId
from runtime.journal import (
    CommitBatch,
    Desired,
    HostRecord,
    Incarnation,
    OutboxRecord,
    Recovered,
    ReminderKey,
    ReminderRecord,
    ShardMap,
    SnapshotRecord,
    StoredTurn,
    TurnRecord,
)
from runtime.relay import Claim, Page, Place, Superseded

AMOUNT_MAX = 2**63 - 1
CONSTRAINED = ("player:", "escrow:")


class LedgerRow(NamedTuple):
    actor: ActorId
    seq: int
    position: int
    transfer: Transfer


class MemoryMembership:
    """The cluster's memory, while the process lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hosts: dict[Incarnation, tuple[str, str]] = {}
        self._lease_until: dict[Incarnation, float] = {}
        self._fenced: set[Incarnation] = set()
        self._owners: dict[ShardId, Incarnation] = {}
        self._epoch = 0
        self._desired = Desired(session_hosts=1, gateways=1)

    def may_write(self, incarnation: Incarnation) -> bool:
        """Whether a commit of this incarnation is to be accepted: registered, and not fenced."""
        return incarnation in self._hosts and incarnation not in self._fenced

    async def register(self, name: str, address: str, lease_s: float) -> Incarnation:
        incarnation = len(self._hosts) + 1
        self._hosts[incarnation] = (name, address)
        self._lease_until[incarnation] = self._clock.monotonic() + lease_s
        return incarnation

    async def renew(self, incarnation: Incarnation, lease_s: float) -> bool:
        if not self.may_write(incarnation):
            return False
        self._lease_until[incarnation] = self._clock.monotonic() + lease_s
        return True

    async def fence(self, incarnation: Incarnation) -> None:
        self._fenced.add(incarnation)

    async def hosts(self) -> list[HostRecord]:
        owning = set(self._owners.values())
        now = self._clock.monotonic()
        return [
            HostRecord(number, name, address, self._lease_until[number] - now, number in self._fenced)
            for number, (name, address) in self._hosts.items()
            if number not in self._fenced or number in owning
        ]

    async def shard_map(self) -> ShardMap:
        addresses = {owner: self._hosts[owner][1] for owner in set(self._owners.values())}
        return ShardMap(self._epoch, dict(self._owners), addresses)

    async def assign(
        self, expected_epoch: int, owners: Mapping[ShardId, Incarnation | None]
    ) -> ShardMap | None:
        new_owners = {owner for owner in owners.values() if owner is not None}
        if expected_epoch != self._epoch or not all(map(self.may_write, new_owners)):
            return None
        for shard, owner in owners.items():
            if owner is None:
                self._owners.pop(shard, None)
            else:
                self._owners[shard] = owner
        self._epoch += 1
        return await self.shard_map()

    async def desired(self) -> Desired:
        return self._desired

    async def set_desired(self, desired: Desired) -> None:
        self._desired = desired


class MemoryJournal:
    """The truth, while the process lives. One object serves every host; batches say whose they are."""

    def __init__(self, membership: MemoryMembership) -> None:
        self._membership = membership
        self._turns: dict[ActorId, dict[int, StoredTurn]] = defaultdict(dict)
        self._by_command: dict[tuple[ActorId, str], StoredTurn] = {}
        self._snapshots: dict[ActorId, SnapshotRecord] = {}
        self._outbox: dict[str, OutboxRecord] = {}
        self._reminders: dict[tuple[ActorId, str], ReminderRecord] = {}
        self.ledger: list[LedgerRow] = []
        self.balances: dict[str, int] = defaultdict(int)
        """Of every account, faucets and sinks too; their sum is zero."""
        self.refused: dict[str, str] = {}
        """Reason by command id of sends that were refused for good. They stay in the outbox."""

    @property
    def turns_kept(self) -> int:
        return len(self._by_command)

    def committed(self) -> list[StoredTurn]:
        """Every turn, in the order of the commits."""
        return list(self._by_command.values())

    async def commit(self, batch: CommitBatch) -> None:
        if not self._membership.may_write(batch.incarnation):
            raise Fenced(f"incarnation {batch.incarnation} is fenced")
        self._check_duplicates(batch.turns)
        deltas = self._checked_deltas(batch.turns)
        self._check_sends(batch.turns)
        # Nothing below can fail, so the batch is applied as a whole.
        for account, delta in deltas.items():
            self.balances[account] += delta
            if not self.balances[account]:
                del self.balances[account]
        for turn in batch.turns:
            self._apply(turn, batch.incarnation)
        for snapshot in batch.snapshots:
            known = self._snapshots.get(snapshot.actor)
            if known is None or known.seq < snapshot.seq:
                self._snapshots[snapshot.actor] = snapshot
        for command_id in batch.acknowledged:
            self._outbox.pop(command_id, None)
            self.refused.pop(command_id, None)
        for command_id, reason in batch.refused:
            if command_id in self._outbox:
                self.refused[command_id] = reason

    def _check_duplicates(self, turns: Sequence[TurnRecord]) -> None:
        numbers, commands = set(), set()
        for turn in turns:
            number, command = (turn.actor, turn.seq), (turn.actor, turn.command_id)
            if command in self._by_command or command in commands:
                raise DuplicateTurn(f"{turn.actor}: command id {turn.command_id!r} exists")
            if turn.seq in self._turns.get(turn.actor, ()) or number in numbers:
                raise DuplicateTurn(f"{turn.actor}: turn {turn.seq} exists")
            if turn.seq < 1:
                raise CommitRefused(f"{turn.actor}: turn {turn.seq} is below 1")
            numbers.add(number)
            commands.add(command)

    def _checked_deltas(self, turns: Sequence[TurnRecord]) -> dict[str, int]:
        deltas: dict[str, int] = defaultdict(int)
        for turn in turns:
            for transfer in turn.transfers:
                if not 0 < transfer.amount <= AMOUNT_MAX or transfer.debit == transfer.credit:
                    raise CommitRefused(f"{turn.actor}: not a transfer: {transfer}")
                deltas[transfer.debit] -= transfer.amount
                deltas[transfer.credit] += transfer.amount
        for account, delta in deltas.items():
            if account.startswith(CONSTRAINED):
                balance = self.balances.get(account, 0) + delta
                if not 0 <= balance <= AMOUNT_MAX:
                    raise CommitRefused(f"{account}: the balance would be {balance}")
        return deltas

    def _check_sends(self, turns: Sequence[TurnRecord]) -> None:
        new = [send.command_id for turn in turns for send in turn.sends]
        if len(set(new)) < len(new) or not self._outbox.keys().isdisjoint(new):
            raise CommitRefused("a send with this command id stands in the outbox")

    def _apply(self, turn: TurnRecord, incarnation: Incarnation) -> None:
        stored = StoredTurn(
            turn.actor,
            turn.seq,
            turn.command_id,
            turn.fingerprint,
            turn.recorded_ms,
            turn.push_seq,
            incarnation,
            turn.body,
        )
        self._turns[turn.actor][turn.seq] = stored
        self._by_command[turn.actor, turn.command_id] = stored
        for position, transfer in enumerate(turn.transfers):
            self.ledger.append(LedgerRow(turn.actor, turn.seq, position, transfer))
        for send in turn.sends:
            self._outbox[send.command_id] = send
        for reminder in turn.reminders_set:
            self._reminders[reminder.actor, reminder.name] = reminder
        for name in turn.reminders_cleared:
            self._reminders.pop((turn.actor, name), None)

    async def find(self, commands: Sequence[tuple[ActorId, str]]) -> list[StoredTurn]:
        return [self._by_command[command] for command in commands if command in self._by_command]

    async def load(self, actors: Sequence[ActorId]) -> list[Recovered]:
        return [self._recovered(actor) for actor in actors]

    def _recovered(self, actor: ActorId) -> Recovered:
        snapshot = self._snapshots.get(actor)
        after = snapshot.seq if snapshot else 0
        turns = self._turns.get(actor, {})
        return Recovered(actor, snapshot, [turns[seq] for seq in sorted(turns) if seq > after])

    async def history(self, actor: ActorId, after_push_seq: int, turns_max: int) -> list[StoredTurn] | None:
        pushed, before = [], 0
        for _, turn in sorted(self._turns.get(actor, {}).items()):
            if turn.push_seq > max(before, after_push_seq):
                pushed.append(turn)
            before = turn.push_seq
        return pushed if len(pushed) <= turns_max else None

    async def unacknowledged(self, after: str, limit: int) -> list[OutboxRecord]:
        waiting = sorted(i for i in self._outbox if i > after and i not in self.refused)
        return [self._outbox[command_id] for command_id in waiting[:limit]]

    async def reminders_due(self, before_ms: int, after: ReminderKey, limit: int) -> list[ReminderRecord]:
        due = {(r.due_ms, r.actor, r.name): r for r in self._reminders.values() if r.due_ms <= before_ms}
        return [due[key] for key in sorted(due) if key > after][:limit]


class MemoryJournalTail:
    """The journal as the event relay sees it. One object serves every life of the relay."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._epoch = 0
        self._place = Place(0, 0)

    async def claim(self) -> Claim:
        self._epoch += 1
        return Claim(self._epoch, self._place)

    async def resume(self, epoch: int) -> Claim:
        if epoch != self._epoch:
            raise Superseded(f"epoch {epoch}: a later relay has claimed the journal")
        return Claim(epoch, self._place)

    async def read(self, after: Place, turns_max: int) -> Page:
        turns = self._journal.committed()[after.position : after.position + turns_max]
        return Page(turns, Place(0, after.position + len(turns)))

    async def advance(self, epoch: int, place: Place) -> None:
        if epoch != self._epoch:
            raise Superseded(f"epoch {epoch}: a later relay has claimed the journal")
        self._place = place
