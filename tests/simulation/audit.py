"""The checks of a world that has come to rest: whether it did, and whether everything adds up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actors.crash.messages import KIND as CRASH
from runtime.identity import key_of, kind_of
from runtime.lifecycle import Phase
from runtime.replay import Replay
from tests.simulation.history import Invocation
from tests.simulation.shadow import encode

if TYPE_CHECKING:
    from tests.simulation.world import World


def unrest(world: World) -> str | None:
    """Why the world is not at rest yet, or None."""
    if world.fleet.is_dark:
        return "everything is down"
    for invocation in world.history.invocations:
        if not invocation.settled:
            return f"{invocation.client} has no answer to {invocation.command_id} ({invocation.name})"
    if world.wishes_left:
        return f"{world.wishes_left} wishes have not been made"
    journal = world.database.journal
    if journal._outbox:
        return f"the sends {list(journal._outbox)[:3]} stand in the outbox"
    now_ms = world.wall_ms - 1000
    for reminder in journal._reminders.values():
        if reminder.due_ms < now_ms and world.wakes(reminder.actor):
            return f"{reminder.actor}: {reminder.name} is overdue"
    for client in world.clients:
        if not client.is_in_sync:
            return f"{client.name} is not in sync"
    if (reason := world.checks.tables.unrest()) is not None:
        return reason
    owned = 0
    for process in [*world.fleet.hosts, *world.fleet.others]:
        service = process.service
        if service is None or getattr(service, "host", None) is None:
            continue
        host = service.host
        owned += len(host.owned)
        if host.gate.pending_turns or host.gate._forming:
            return f"{process.name} has turns waiting for a commit"
        for activation in host.residents:
            if activation.phase is not Phase.ACTIVE:
                return f"{process.name}: {activation.actor} is {activation.phase.name}"
            if activation.uncommitted:
                return f"{process.name}: {activation.actor} has uncommitted turns"
    if owned != len(world.database.membership._owners):
        return f"the hosts know of {owned} shards, the map of {len(world.database.membership._owners)}"
    return None


def audit(world: World) -> None:
    """Everything that must hold at rest."""
    checks = world.checks
    journal = world.database.journal
    _ledger(world)
    checks.tables.audit()
    for command_id, send in checks.sends.items():
        if (send.to, command_id) not in journal._by_command:
            checks.violated("sends", f"{command_id} to {send.to} was never applied")
    for actor, shadow in checks.shadows.items():
        _replay(world, actor)
        turns = journal._turns.get(actor, {})
        if shadow.acknowledged_seq > len(turns):
            checks.violated("nothing lost", f"{actor}: turn {shadow.acknowledged_seq} was seen")
    for process in world.fleet.hosts:
        if process.service.host is None:
            continue  # still starting
        for actor, activation in process.service.host.residents._activations.items():
            shadow = checks.shadow(actor)
            if activation.seq != shadow.seq or encode(activation.state) != encode(
                shadow.state if world.is_released else activation.state
            ):
                checks.violated("recovery", f"{process.name}: {actor} in memory is not what the journal says")
    for client in world.clients:
        if client.router_or_none is not None and client.router_or_none._parked:
            checks.violated("progress", f"{client.name} has parked calls")
    if world.scenario.keeps_order:
        for client in world.clients:
            for invocations in client.in_order.values():
                _order(world, invocations)


def _order(world: World, invocations: list[Invocation]) -> None:
    """Where owners stay, what was asked first is applied first."""
    by_command = world.database.journal._by_command
    latest = 0
    asked = Counter(invocation.command_id for invocation in invocations)
    for invocation in invocations:
        turn = by_command.get((invocation.actor, invocation.command_id))
        # What was repeated may have been refused the first time.
        if turn is None or invocation.attempts != 1 or asked[invocation.command_id] > 1:
            continue
        if turn.seq < latest:
            world.checks.violated(
                "order", f"{invocation.actor}: {invocation.command_id} is turn {turn.seq}, behind {latest}"
            )
        latest = turn.seq


def _ledger(world: World) -> None:
    checks, journal = world.checks, world.database.journal
    derived: dict[str, int] = {}
    for row in journal.ledger:
        transfer = row.transfer
        derived[transfer.debit] = derived.get(transfer.debit, 0) - transfer.amount
        derived[transfer.credit] = derived.get(transfer.credit, 0) + transfer.amount
    if sum(derived.values()):
        checks.violated("ledger", f"the transfers sum to {sum(derived.values())}")
    for account, gold in sorted(derived.items()):
        if gold != journal.balances.get(account, 0):
            checks.violated(
                "ledger", f"{account}: {gold} by transfers, {journal.balances.get(account, 0)} kept"
            )
        if account.startswith("escrow:") and gold:
            checks.violated("ledger", f"{account} still holds {gold}")
        if account.startswith("player:") and gold < 0:
            checks.violated("ledger", f"{account} is at {gold}")
    for actor, shadow in checks.shadows.items():
        if kind_of(actor) == CRASH:
            continue
        account = f"player:{actor if kind_of(actor) == 'vault' else key_of(actor)}"
        if shadow.gold != derived.get(account, 0):
            checks.violated("ledger", f"{actor} has {shadow.gold}, its account {derived.get(account, 0)}")


def _replay(world: World, actor: object) -> None:
    """The journal alone rebuilds the actor, and so do its snapshot and the turns after it."""
    checks, journal = world.checks, world.database.journal
    shadow = checks.shadows[actor]  # type: ignore[index]
    turns = journal._turns.get(actor, {})  # type: ignore[call-overload]
    snapshot = journal._snapshots.get(actor)  # type: ignore[call-overload]
    behavior = world.behavior(kind_of(shadow.actor))
    replay = Replay(behavior, key_of(shadow.actor), snapshot)
    replay.feed(turns[seq] for seq in sorted(turns))
    for problem in replay.problems:
        checks.violated("replay", f"{actor}: {problem}")
    if snapshot is not None and not replay.snapshot_checked:
        checks.violated("replay", f"{actor}: a snapshot of turn {snapshot.seq}, which is not there")
