"""Every bound of the runtime, with its unit in its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostSettings:
    lease_s: float = 3.0
    """How long a host may answer without renewing; a silent host is replaced after it."""
    turns_per_commit_max: int = 1000
    pending_turns_max: int = 20_000
    """Turns of all actors of the host that wait for a commit."""
    mailbox_messages_max: int = 256
    """Commands of one actor that wait, for its load or for a commit."""
    replies_kept_max: int = 32
    """Stored replies in memory per active actor; older ones are found in the journal."""
    replies_kept_idle: int = 2
    """… of an actor that has been idle for ``trim_after_s``."""
    trim_after_s: float = 15.0
    passivate_after_s: float = 300.0
    activations_max: int = 200_000
    """Past this many residents the longest idle are passivated early."""
    snapshot_interval_turns: int = 50
    load_actors_max: int = 256
    """Actors in one load from the journal."""
    journal_deadline_s: float = 10.0
    """How long a load may fail before those who wait for it are told ``unavailable``."""
    backfill_turns_max: int = 500
    """Turns a resuming client may be behind; past it, it gets a fresh view."""
    outbox_queued_max: int = 50_000
    """Durable sends in memory, under way or waiting; more wait in the table. Enough for every player of a
    host to have one for a receiver that is away."""
    outbox_poll_s: float = 2.0
    reminder_poll_s: float = 0.5
    reminders_per_poll_max: int = 1000
    logged_commands: frozenset[str] = frozenset()
    """Whose turns leave a line in the log once they are durable. Every turn does, at the level DEBUG."""


@dataclass(frozen=True)
class RouterSettings:
    call_deadline_s: float = 15.0
    """How long a command is retried while its owner moves or dies."""
    calls_in_flight_max: int = 50_000
    retry_delay_s: float = 0.05
    """Pause before a misrouted or undeliverable call is tried again, unless a new map comes first."""


@dataclass(frozen=True)
class CoordinatorSettings:
    reconcile_interval_s: float = 0.5
    lease_grace_s: float = 0.5
    """How long past the end of its lease a silent host is left alone: clocks tick differently."""
    patience_s: float = 4.0
    """How long after it could not read the membership, or began, the coordinator leaves silent hosts
    alone: they may have been unable to renew for the same reason. More than a lease and its grace."""
    slow_read_s: float = 1.0
    """Reading the membership for longer counts as not having been able to."""
    release_deadline_s: float = 10.0
    dedicated_hosts_max: int = 200
    """Each is a process of some 70 MiB. Past it, callers of new dedicated actors wait in vain."""
    moves_per_round_max: int = 16
    """Shards moved in one round of balancing, so that a move never stalls many players at once."""
