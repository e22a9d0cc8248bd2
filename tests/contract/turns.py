"""Records for the contract suite, with everything that a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.behavior import Push, Transfer
from runtime.identity import ActorId
from runtime.journal import (
    CommitBatch,
    OutboxRecord,
    ReminderRecord,
    SnapshotRecord,
    TurnRecord,
)
from runtime.turn import encode_body

ANN = ActorId("session/ann")
BEN = ActorId("session/ben")
TABLE = ActorId("crash/main-1")


class ManualClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


def turn(
    actor: ActorId,
    seq: int,
    *transfers: Transfer,
    command_id: str | None = None,
    push_seq: int = 0,
    pushes: int = 0,
    sends: Sequence[OutboxRecord] = (),
    reminders_set: Sequence[ReminderRecord] = (),
    reminders_cleared: Sequence[str] = (),
) -> TurnRecord:
    body, _, _ = encode_body([], {"seq": seq}, [Push("user_action", {})] * pushes, [])
    return TurnRecord(
        actor=actor,
        seq=seq,
        command_id=command_id or f"command-{seq}",
        fingerprint=-(2**63) + seq,
        recorded_ms=1_700_000_000_000 + seq,
        push_seq=push_seq,
        body=body,
        transfers=transfers,
        sends=sends,
        reminders_set=reminders_set,
        reminders_cleared=reminders_cleared,
    )


def batch(
    incarnation: int,
    *turns: TurnRecord,
    snapshots: Sequence[SnapshotRecord] = (),
    acknowledged: Sequence[str] = (),
    refused: Sequence[tuple[str, str]] = (),
) -> CommitBatch:
    return CommitBatch(incarnation, list(turns), list(snapshots), list(acknowledged), list(refused))


def snapshot(actor: ActorId, seq: int, push_seq: int = 0) -> SnapshotRecord:
    return SnapshotRecord(actor, seq, push_seq, 1, b"state %d" % seq, b"replies %d" % seq)


def send(command_id: str, sender: ActorId = ANN, to: ActorId = TABLE) -> OutboxRecord:
    return OutboxRecord(command_id, sender, to, "place_bet", b"\x80", "bet_placed")


def reminder(actor: ActorId, name: str, due_ms: int, data: bytes = b"\x80") -> ReminderRecord:
    return ReminderRecord(actor, name, due_ms, "wake_up", data, due_ms)


def welcome(key: str, amount: int = 1000) -> Transfer:
    return Transfer("faucet:welcome", f"player:{key}", amount, "welcome")


def stake(key: str, amount: int) -> Transfer:
    return Transfer(f"player:{key}", "house:slots", amount, "stake")
