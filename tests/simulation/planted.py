"""Faults planted into the real runtime, to test the simulator: each must be caught, and soon.

Every entry is one mistake that somebody could make, as a patch that is undone afterwards. A fault
that no check catches means a missing check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from runtime.activation import Activation
from runtime.coordination import Coordinator
from runtime.errors import StaleEpoch
from runtime.executor import Executor
from runtime.group_commit import Entry, GroupCommit
from runtime.host import Host
from runtime.lease import Lease
from runtime.lifecycle import Phase
from runtime.memory_journal import MemoryJournal
from runtime.outbox import Outbox
from runtime.recall import Recall
from runtime.residents import Residents
from runtime.router import Router
from runtime.stream import Deliver
from runtime.subscriptions import Subscriptions
from tests.simulation.database import Database
from tests.simulation.planted_crash import PLANTED_CRASH
from tests.simulation.planted_streak import PLANTED_STREAK
from tests.simulation.planting import Patches, Planted
from tests.simulation.vault import Vault


def _gate_opened_before_commit() -> Patches:
    journal = Executor._journal

    def early(self: Executor, activation: Any, request: Any, listener: Any, *rest: Any) -> Any:
        answer = journal(self, activation, request, listener, *rest)
        entry = self._gate._forming[-1] if self._gate._forming else None
        if entry is not None and entry.request is request and listener is not None:
            entry.listener = None
            listener.send(entry.answer)
        return answer

    yield Executor, "_journal", early


def _pushes_leave_before_commit() -> Patches:
    journal = Executor._journal

    def early(self: Executor, activation: Any, *rest: Any) -> Any:
        answer = journal(self, activation, *rest)
        entry = self._gate._forming[-1] if self._gate._forming else None
        if entry is not None and entry.turn is not None and entry.pushes is not None:
            kept, entry.listener = entry.listener, None
            self._gate._owner._let_out(entry)  # type: ignore[attr-defined]
            entry.listener, entry.pushes = kept, None
        return answer

    yield Executor, "_journal", early


def _rejections_do_not_wait() -> Patches:
    def answer(self: Executor, activation: Any, listener: Any, answer: Any, request: Any) -> None:
        listener.send(answer)

    yield Executor, "answer", answer


class _Anybody:
    def may_write(self, incarnation: int) -> bool:
        return True


def _fencing_check_removed() -> Patches:
    init = MemoryJournal.__init__

    def forgetful(self: MemoryJournal, membership: Any) -> None:
        init(self, membership)
        self._membership = _Anybody()  # type: ignore[assignment]

    def check(self: Database, batch: Any) -> None:
        self.journal._check_duplicates(batch.turns)
        self.journal._checked_deltas(batch.turns)

    yield MemoryJournal, "__init__", forgetful
    yield Database, "_check", check


def _without_command_ids(self: MemoryJournal, turns: Any) -> None:
    """Only sequence numbers are unique."""
    from runtime.errors import DuplicateTurn

    for turn in turns:
        if turn.seq in self._turns.get(turn.actor, ()):
            raise DuplicateTurn(f"{turn.actor}: turn {turn.seq} exists")


def _replies_forgotten_and_ids_not_unique() -> Patches:
    recover = Activation.recover

    def forget(self: Activation[Any], recovered: Any, replies_max: int) -> None:
        recover(self, recovered, replies_max)
        self.replies = {}

    yield Activation, "recover", forget
    yield MemoryJournal, "_check_duplicates", _without_command_ids


def _ids_not_unique_in_the_journal() -> Patches:
    yield MemoryJournal, "_check_duplicates", _without_command_ids


def _outbox_not_read_after_a_crash() -> Patches:
    async def nothing(self: Outbox) -> None:
        self._missed = False
        self._recovering = False

    yield Outbox, "_pass", nothing


def _snapshot_labelled(offset: int) -> Callable[[], Patches]:
    def patches() -> Patches:
        record = Activation._record

        def wrong(self: Activation[Any]) -> Any:
            made = record(self)
            if made.seq > 1:
                made.seq += offset
            return made

        yield Activation, "_record", wrong

    return patches


def _unknown_taken_for_success() -> Patches:
    async def settled(self: GroupCommit, batch: Any, entries: Any) -> bool:
        return True

    yield GroupCommit, "_is_settled", settled


def _unknown_retried_without_reading() -> Patches:
    async def settled(self: GroupCommit, batch: Any, entries: Any) -> bool:
        for actor in dict.fromkeys(turn.actor for turn in batch.turns):
            self._withdraw(actor, entries, None)
        return False

    yield GroupCommit, "_is_settled", settled


def _lease_ignored() -> Patches:
    yield Lease, "is_valid", lambda self: True


def _release_without_drain() -> Patches:
    async def release(self: Host, *arguments: Any) -> None:
        leaving = set(arguments[-1]) & self._owned
        self._owned -= leaving
        for activation in self._of(leaving):
            if activation.phase is not Phase.GONE:
                self.residents.forget(activation)

    yield Host, "release", release


def _takeover_without_fencing() -> Patches:
    gone = Coordinator._silent

    async def nobody(self: Coordinator, hosts: Any) -> set[int]:
        return {
            h.incarnation
            for h in hosts
            if h.lease_remaining_s < 0 or self._fleet.is_known_dead(h.name, h.incarnation)
        }

    def silent(self: Coordinator, hosts: Any, fenced: set[int]) -> set[int]:
        return gone(self, hosts, fenced) | {h.incarnation for h in hosts if h.lease_remaining_s < 0}

    yield Coordinator, "_fence_the_gone", nobody
    yield Coordinator, "_silent", silent


def _takeover_before_the_lease_ends() -> Patches:
    def silent(self: Coordinator, hosts: Any, fenced: set[int]) -> set[int]:
        return fenced | {h.incarnation for h in hosts if h.fenced}

    yield Coordinator, "_silent", silent


def _push_seq_not_restored() -> Patches:
    recover = Activation.recover

    def forget(self: Activation[Any], recovered: Any, replies_max: int) -> None:
        recover(self, recovered, replies_max)
        self.push_seq = 0

    yield Activation, "recover", forget


def _mailbox_reordered() -> Patches:
    recovered = Residents.recovered

    def backwards(self: Residents, activation: Any, found: Any) -> None:
        if activation.mailbox:
            activation.mailbox.reverse()
        recovered(self, activation, found)

    yield Residents, "recovered", backwards


def _router_resends_under_a_fresh_id() -> Patches:
    closed = Router._closed

    def fresh(self: Router, owner: int) -> None:
        route = self._routes.get(owner)
        for ref in route.refs if route is not None else ():
            call = self._calls.get(ref)
            if call is not None and type(call.request) is Deliver:
                call.request = msgspec.structs.replace(
                    call.request, command_id=f"{call.request.command_id}/again"
                )
        closed(self, owner)

    yield Router, "_closed", fresh


def _backfill_off_by_one() -> Patches:
    catch_up = Subscriptions._catch_up

    async def late(self: Subscriptions, activation: Any, request: Any, after: int, listener: Any) -> None:
        await catch_up(self, activation, request, after + 1, listener)

    yield Subscriptions, "_catch_up", late


def _cleared_reminder_fires() -> Patches:
    keep = Activation.keep_reminders

    def never_clear(self: Activation[Any], seq: int, changes: Any) -> None:
        keep(self, seq, [change for change in changes if change[1] is not None])

    yield Activation, "keep_reminders", never_clear


def _reminder_forgotten_on_recovery() -> Patches:
    recover = Activation.recover

    def forget(self: Activation[Any], recovered: Any, replies_max: int) -> None:
        recover(self, recovered, replies_max)
        self.reminders = None

    yield Activation, "recover", forget


def _refused_without_asking_the_journal() -> Patches:
    yield Recall, "doubting", lambda self, request, listener: listener


def _found_replies_forgotten_too_soon() -> Patches:
    recovered = Residents.recovered

    def forget(self: Residents, activation: Any, found: Any) -> None:
        activation.known = None
        recovered(self, activation, found)

    yield Residents, "recovered", forget


def _send_struck_off_when_it_leaves() -> Patches:
    deliver = Outbox._deliver

    def eager(self: Outbox, key: Any, retry_s: float, again: bool) -> None:
        send = self._lanes[key][0].send
        deliver(self, key, retry_s, again)
        self._gate.acknowledge(send.command_id)

    yield Outbox, "_deliver", eager


def _rollback_keeps_the_state() -> Patches:
    def roll_back(self: Host, activation: Any, entries: Any, known: Any) -> None:
        activation.known = (activation.known or {}) | (known or {})
        for entry in entries:
            if entry.request is not None:
                self._accept(entry.request, entry.listener)

    yield Host, "roll_back", roll_back


def _upgrade_loses_a_field() -> Patches:
    upgrade = Vault.upgrade

    def lossy(self: Vault, version: int, state: bytes) -> Any:
        made = upgrade(self, version, state)
        made.payments = 0
        return made

    yield Vault, "upgrade", lossy


def _sends_leave_before_commit() -> Patches:
    journal = Executor._journal

    def early(self: Executor, *arguments: Any) -> Any:
        answer = journal(self, *arguments)
        entry = self._gate._forming[-1] if self._gate._forming else None
        if entry is not None and entry.turn is not None and entry.turn.sends:
            outbox = self._gate._owner._outbox  # type: ignore[attr-defined]
            asyncio.get_running_loop().call_soon(outbox.enqueue, entry.turn.sends)
        return answer

    yield Executor, "_journal", early


SILENT = frozenset({"host_pause", "host_superseded", "database_cut"})
LONELY = frozenset({"host_superseded"})
DEPOSED = frozenset({"coordinator_crash", "coordinator_superseded"})

# Mistakes that were once in the runtime.


def _take_restores_what_was_released() -> Patches:
    take = Host.take

    def trusting(self: Host, epoch: int, shards: Any) -> None:
        self._released = {}
        take(self, epoch, shards)

    yield Host, "take", trusting


def _second_release_does_not_wait() -> Patches:
    release = Host.release

    async def hasty(self: Host, epoch: int, shards: Any) -> None:
        if set(shards) & self._owned:
            await release(self, epoch, shards)

    yield Host, "release", hasty


def _released_again_while_it_drains() -> Patches:
    async def clumsy(self: Host, epoch: int, shards: Any) -> None:
        if epoch < self._epoch:
            raise StaleEpoch(f"{self.name} is at epoch {self._epoch}, not {epoch}")
        self._released |= dict.fromkeys(shards, epoch)
        leaving = set(shards) & self._owned
        self._owned -= leaving
        for activation in self._of(set(shards)):
            if activation.phase is Phase.LOADING:
                self.residents.forget(activation)
            else:
                # Raises when it drains already.
                activation.become(Phase.DRAINING)
                self.gate.add(Entry(activation, snapshot=activation.snapshot()))
            self._draining.append(activation)
        while not self._stopped and any(self._shard(a.actor) in shards for a in self._draining):
            await asyncio.sleep(0.005)
            self._draining = [a for a in self._draining if a.phase is not Phase.GONE or a.uncommitted]
        self._drop(leaving - self._owned)

    yield Host, "release", clumsy


def _given_up_host_keeps_its_shards() -> Patches:
    fence = Coordinator._fence_the_gone

    async def lenient(self: Coordinator, hosts: Any) -> set[int]:
        latest = {h.name: h.incarnation for h in sorted(hosts, key=lambda h: h.incarnation)}
        return await fence(
            self,
            [
                h
                for h in hosts
                if h.incarnation == latest[h.name]
                or h.lease_remaining_s < 0
                or self._fleet.is_known_dead(h.name, h.incarnation)
            ],
        )

    yield Coordinator, "_fence_the_gone", lenient


def _coordinator_begins_without_a_new_epoch() -> Patches:
    rounds = Coordinator.round

    async def modest(self: Coordinator) -> None:
        self._is_begun = True
        await rounds(self)

    yield Coordinator, "round", modest


PLANTED = (
    Planted("gate opened before the commit", _gate_opened_before_commit, 5),
    Planted("pushes leave before the commit", _pushes_leave_before_commit, 5),
    Planted("sends leave before the commit", _sends_leave_before_commit, 10),
    Planted("rejections and reads do not wait for the gate", _rejections_do_not_wait, 10),
    Planted("fencing check removed", _fencing_check_removed, 300, SILENT),
    Planted("replies forgotten on recovery, ids not unique", _replies_forgotten_and_ids_not_unique, 20),
    Planted("ids not unique in the journal", _ids_not_unique_in_the_journal, 20),
    Planted("outbox not read after a crash", _outbox_not_read_after_a_crash, 60),
    Planted("snapshot labelled one turn early", _snapshot_labelled(-1), 10),
    Planted("snapshot labelled one turn late", _snapshot_labelled(1), 10),
    Planted("unknown commit taken for success", _unknown_taken_for_success, 20),
    Planted("unknown commit run again without reading", _unknown_retried_without_reading, 60),
    Planted("lease ignored", _lease_ignored, 120, SILENT),
    Planted("release without drain", _release_without_drain, 60),
    Planted("takeover without fencing", _takeover_without_fencing, 120, SILENT),
    Planted("takeover before the lease has ended", _takeover_before_the_lease_ends, 20, LONELY),
    Planted("push seq not restored", _push_seq_not_restored, 10),
    Planted("mailbox reordered on load", _mailbox_reordered, 120),
    Planted("router sends again under a fresh id", _router_resends_under_a_fresh_id, 60),
    Planted("backfill off by one", _backfill_off_by_one, 60),
    Planted("a cleared reminder fires", _cleared_reminder_fires, 60),
    Planted("reminders forgotten on recovery", _reminder_forgotten_on_recovery, 60),
    Planted("refused without asking the journal", _refused_without_asking_the_journal, 60),
    Planted("found replies forgotten too soon", _found_replies_forgotten_too_soon, 60),
    Planted("send struck off when it leaves", _send_struck_off_when_it_leaves, 20),
    Planted("rollback keeps the state", _rollback_keeps_the_state, 60),
    Planted("upgrade of a snapshot loses a field", _upgrade_loses_a_field, 60),
    Planted("a take restores what was released", _take_restores_what_was_released, 800),
    Planted("a second release does not wait", _second_release_does_not_wait, 800),
    Planted("released again while it drains", _released_again_while_it_drains, 1500),
    Planted("a given-up host keeps its shards", _given_up_host_keeps_its_shards, 150, LONELY),
    Planted(
        "a coordinator begins without a new epoch", _coordinator_begins_without_a_new_epoch, 6000, DEPOSED
    ),
    *PLANTED_STREAK,
    *PLANTED_CRASH,
)
