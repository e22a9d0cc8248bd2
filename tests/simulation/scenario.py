"""From a seed to a world: its size, its bounds, which faults strike, and what the clients want.

Every part draws from a generator of its own, named after the part, so that leaving one out (to
shrink a failure) does not change the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from runtime.identity import ActorId
from runtime.settings import CoordinatorSettings, HostSettings, RouterSettings
from tests.simulation.database import DatabaseSettings
from tests.simulation.tables import TABLE_FAULTS, Table, table_faults, tables_of, watchers, wishes

PROCESS_FAULTS = (
    "host_crash",
    "host_lost",
    "host_pause",
    "host_superseded",
    "gateway_crash",
    "gateway_pause",
    "coordinator_crash",
    "coordinator_superseded",
    "scale",
    "blackout",
)
NETWORK_FAULTS = ("stream_break", "half_open", "partition", "network_slow", "client_break")
DATABASE_FAULTS = (
    "database_cut",
    "database_down",
    "call_refused",
    "commit_lost",
    "commit_reply_lost",
    "commit_late",
    "commit_slow",
    "commit_aborted",
)
OTHER_FAULTS = ("wall_jump", "clock_drift", "bursts", "defects")
FAULTS = PROCESS_FAULTS + NETWORK_FAULTS + DATABASE_FAULTS + OTHER_FAULTS
"""Drawn for every world. Those of tables have a draw of their own."""

ORDER_KEEPING = frozenset(
    {*DATABASE_FAULTS, *OTHER_FAULTS, "network_slow"} - {"database_cut", "database_down", "call_refused"}
)
"""With no other faults than these, a client's commands are applied in the order it gave them."""

# Moments with something to get wrong about dates: new years, and both changes of daylight saving.
MOMENTS = (
    datetime(2026, 3, 29, 0, 59, 45, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC),
    datetime(2026, 3, 8, 4, 59, 50, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 50, tzinfo=UTC),
    datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC),
    datetime(2028, 2, 28, 23, 59, 55, tzinfo=UTC),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Niue", "Asia/Kathmandu")


@dataclass(frozen=True)
class Step:
    """One wish of one client. ``repeats`` is the place of an earlier step whose id is used again;
    ``after`` a (table, round, phase) from whose beginning ``at_s`` counts."""

    at_s: float
    client: int
    name: str
    data: dict[str, Any]
    repeats: int | None = None
    after: tuple[str, int, str] | None = None
    is_crash: bool = False


@dataclass(frozen=True)
class Scenario:
    seed: int
    faults: frozenset[str]
    storm_s: float
    hosts: int
    gateways: int
    users: int
    devices: int
    vaults: int
    callers: int
    steps: int
    host: HostSettings
    router: RouterSettings
    coordinator: CoordinatorSettings
    database: DatabaseSettings
    gateway_limits: dict[str, Any]
    latency_s: float
    network_slow_one_in: int
    shards: int
    sessions_dedicated: bool
    vaults_dedicated: bool
    upgrades: bool
    """The vault begins as its previous version; the release comes with a blackout, or at the end."""
    skew_ms_max: float
    drift_max: float
    wall_begins_ms: int
    intensity: float
    """Process and network faults a second."""
    tables: tuple[Table, ...] = ()
    watching: dict[int, list[ActorId]] = field(default_factory=dict, repr=False)
    """The topics that a device subscribes to from the start."""
    plan: tuple[Step, ...] = field(default=(), repr=False)

    def without(self, part: str) -> Scenario:
        """A kind of fault, or ``tables``: the Crash tables and all bets."""
        if part == "tables":
            kept = tuple(step for step in self.plan if not step.is_crash)
            return replace(self.without_faults(TABLE_FAULTS), tables=(), watching={}, plan=kept)
        return self.without_faults({part})

    def without_faults(self, faults: Iterable[str]) -> Scenario:
        return _with_faults(self, self.faults - set(faults))

    def shortened(self, steps: int) -> Scenario:
        return replace(self, plan=self.plan[:steps], steps=steps)

    @property
    def keeps_order(self) -> bool:
        return self.faults <= ORDER_KEEPING and self.hosts == 1 and not self.sessions_dedicated


def scenario(seed: int) -> Scenario:
    random = Random(f"{seed}/scenario")
    # From nothing at all to nearly everything at once.
    share = random.choice((0.0, 0.15, 0.3, 0.3, 0.5, 0.8))
    if random.random() < 0.2:
        faults = frozenset(f for f in sorted(ORDER_KEEPING) if random.random() < 0.4)
    else:
        faults = frozenset(f for f in FAULTS if random.random() < share)
    lease_s = random.choice((0.6, 1.0, 2.0, 3.0))
    tight = random.random
    users = random.randint(1, 4)
    host = HostSettings(
        lease_s=lease_s,
        turns_per_commit_max=random.choice((1, 2, 5, 1000)) if tight() < 0.3 else 1000,
        pending_turns_max=random.choice((3, 20)) if tight() < 0.2 else 20_000,
        mailbox_messages_max=random.choice((1, 2, 5)) if tight() < 0.2 else 256,
        replies_kept_max=random.choice((1, 2, 4)) if tight() < 0.5 else 32,
        replies_kept_idle=random.choice((0, 1, 2)),
        trim_after_s=random.choice((1.5, 3.0)),
        passivate_after_s=random.choice((1.0, 1.5, 3.0)) if tight() < 0.6 else 300.0,
        activations_max=random.choice((1, 2)) if tight() < 0.15 else 200_000,
        snapshot_interval_turns=random.choice((1, 2, 3, 7, 50)),
        load_actors_max=random.choice((1, 256)),
        journal_deadline_s=random.choice((2.0, 10.0)),
        backfill_turns_max=random.choice((1, 3, 500)),
        outbox_queued_max=random.choice((1, 2, 1000)) if tight() < 0.3 else 1000,
        outbox_poll_s=random.choice((0.5, 1.0)),
        reminder_poll_s=random.choice((0.3, 0.8)),
        reminders_per_poll_max=random.choice((1, 1000)),
    )
    made = Scenario(
        seed=seed,
        faults=faults,
        storm_s=random.choice((4.0, 8.0, 12.0)),
        hosts=random.randint(1, 4),
        gateways=random.randint(1, 2),
        users=users,
        devices=random.randint(users, users + 2),
        vaults=random.randint(1, 6),
        callers=random.randint(1, 2),
        steps=random.choice((60, 150, 300)),
        host=host,
        router=RouterSettings(
            call_deadline_s=random.choice((4.0, 15.0)),
            calls_in_flight_max=random.choice((4, 20)) if tight() < 0.1 else 50_000,
        ),
        coordinator=CoordinatorSettings(
            reconcile_interval_s=random.choice((0.3, 0.5)),
            lease_grace_s=0.1 + lease_s * 0.05,
            release_deadline_s=random.choice((0.5, 10.0)),
            moves_per_round_max=random.choice((1, 4, 16)),
            patience_s=1.3 * lease_s + 0.3,
            slow_read_s=random.choice((0.5, 1.0)),
        ),
        database=DatabaseSettings(commit_s=random.choice((0.001, 0.003, 0.01, 0.05))),
        gateway_limits={"connections_per_user_max": random.choice((3, 16))},
        latency_s=random.choice((0.0002, 0.001, 0.01)),
        network_slow_one_in=0,
        shards=random.choice((2, 4, 8)),
        sessions_dedicated=tight() < 0.15,
        vaults_dedicated=tight() < 0.15,
        upgrades=tight() < 0.3,
        skew_ms_max=random.choice((0.0, 5.0, 100.0)),
        drift_max=0.0,
        wall_begins_ms=int(random.choice(MOMENTS).timestamp() * 1000),
        intensity=random.choice((0.3, 0.8, 2.0)),
    )
    return _with_faults(_with_tables(replace(made, plan=tuple(plan(made)))))


def _with_tables(made: Scenario) -> Scenario:
    tables = tables_of(made.seed)
    if not tables:
        return made
    faults = made.faults
    if not faults <= ORDER_KEEPING:
        faults |= table_faults(made.seed)
    first = len(made.plan)
    crash = [
        Step(
            wish.at_s,
            wish.client,
            wish.name,
            wish.data,
            None if repeats is None else first + repeats,
            wish.after,
            is_crash=True,
        )
        for wish, repeats in wishes(made.seed, made.devices, made.callers, made.storm_s, tables)
    ]
    watching = watchers(made.seed, made.devices, tables)
    return replace(made, faults=faults, tables=tables, watching=watching, plan=(*made.plan, *crash))


def _with_faults(made: Scenario, faults: frozenset[str] | None = None) -> Scenario:
    faults = made.faults if faults is None else faults
    random = Random(f"{made.seed}/rates")
    rates = {name: random.choice((3, 10, 40)) for name in DATABASE_FAULTS}

    def one_in(name: str) -> int:
        return rates[name] if name in faults else 0

    return replace(
        made,
        faults=faults,
        network_slow_one_in=random.choice((5, 30)) if "network_slow" in faults else 0,
        drift_max=0.01 if "clock_drift" in faults else 0.0,
        database=DatabaseSettings(
            commit_s=made.database.commit_s,
            slow_one_in=one_in("commit_slow"),
            slow_s=0.1 + 2.0 * random.random(),
            refuse_one_in=4 * one_in("call_refused"),
            lose_request_one_in=one_in("commit_lost"),
            lose_reply_one_in=one_in("commit_reply_lost"),
            late_one_in=one_in("commit_late"),
            late_s=0.05 + 1.5 * random.random(),
            abort_one_in=one_in("commit_aborted"),
        ),
    )


def plan(made: Scenario) -> list[Step]:
    """Devices are the first clients, callers come after them."""
    random = Random(f"{made.seed}/plan")
    steps: list[Step] = []
    bursts = [random.random() * made.storm_s for _ in range(3)] if "bursts" in made.faults else []
    for _ in range(made.steps):
        at_s = 0.8 + random.random() * made.storm_s
        if bursts and random.random() < 0.6:
            at_s = 0.8 + random.choice(bursts) + 0.01 * random.random()
        client = random.randrange(made.devices + made.callers)
        name, data = _session(random, made) if client < made.devices else _vault(random, made)
        steps.append(Step(at_s, client, name, data))
    steps.sort(key=lambda step: step.at_s)
    for place in range(1, len(steps)):
        if random.random() < 0.12:
            # Soon after, or long after; by the same client, or another device.
            earlier = random.randrange(max(0, place - 5) if random.random() < 0.5 else 0, place)
            first = steps[earlier]
            if first.repeats is not None:
                continue
            data = first.data
            if random.random() < 0.25 and data:
                data = {key: value + 1 if type(value) is int else value for key, value in data.items()}
            steps[place] = Step(steps[place].at_s, first.client, first.name, data, earlier)
    return steps


def _session(random: Random, made: Scenario) -> tuple[str, dict[str, Any]]:
    choice = random.random()
    if choice < 0.45:
        return "spin_slots", {"stake": random.choice((1, 10, 500, 9000))}
    if choice < 0.6:
        return "claim_streak", {}
    if choice < 0.78:
        return "send_gift", {
            "to_user": f"user{random.randrange(made.users)}",
            "amount": random.randint(1, 4000),
        }
    if choice < 0.88:
        return "get_profile", {}
    if choice < 0.94:
        return "set_time_zone", {"time_zone": random.choice(ZONES)}
    if choice < 0.97:
        return "rotate_server_seed", {}
    return "log_action", {"action_type": "looked", "context": {"n": random.randrange(9)}}


def _vault(random: Random, made: Scenario) -> tuple[str, dict[str, Any]]:
    vault = f"v{random.randrange(made.vaults)}"
    choice = random.random()
    if choice < 0.35:
        return f"put {vault}", {"amount": random.randint(-5, 100)}
    if choice < 0.6:
        return f"pay {vault}", {"to": f"v{random.randrange(made.vaults)}", "amount": random.randint(1, 60)}
    if choice < 0.8:
        return f"look {vault}", {}
    if choice < 0.97 or "defects" not in made.faults:
        delay_ms = None if random.random() < 0.3 else random.choice((0, 50, 400, 2000))
        return f"alarm {vault}", {"delay_ms": delay_ms}
    return f"overdraw {vault}", {"amount": random.randint(1, 50)}
