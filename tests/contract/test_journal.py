"""What every journal must do, on every implementation of the port."""

from __future__ import annotations

import asyncio

import pytest

from runtime.behavior import Transfer
from runtime.errors import CommitRefused, DuplicateTurn, Fenced
from runtime.identity import ActorId
from runtime.journal import FIRST_REMINDER, Recovered, StoredTurn
from tests.contract.storages import Storage
from tests.contract.turns import ANN, BEN, TABLE, batch, reminder, send, snapshot, stake, turn, welcome


async def test_a_turn_is_read_back_as_it_was_written(storage: Storage, incarnation: int) -> None:
    written = turn(ANN, 1, push_seq=2, pushes=2, command_id="first – ünïcode 🎰")
    await storage.journal().commit(batch(incarnation, written))
    [stored] = await storage.journal().find([(ANN, written.command_id), (ANN, "never"), (BEN, "first")])
    assert stored == StoredTurn(
        ANN,
        1,
        written.command_id,
        written.fingerprint,
        written.recorded_ms,
        2,
        incarnation,
        written.body,
    )


async def test_an_empty_batch_commits_and_still_checks_the_fence(storage: Storage, incarnation: int) -> None:
    await storage.journal().commit(batch(incarnation))
    await storage.membership.fence(incarnation)
    with pytest.raises(Fenced):
        await storage.journal().commit(batch(incarnation))


async def test_load_gives_snapshot_and_tail_in_the_order_asked(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1), turn(BEN, 1), turn(ANN, 2), turn(ANN, 3)))
    await journal.commit(batch(incarnation, turn(ANN, 4), snapshots=[snapshot(ANN, 2, push_seq=7)]))
    nobody = ActorId("session/nobody")
    found = await journal.load([BEN, nobody, ANN])
    assert [(r.actor, r.snapshot, [t.seq for t in r.tail]) for r in found] == [
        (BEN, None, [1]),
        (nobody, None, []),
        (ANN, snapshot(ANN, 2, push_seq=7), [3, 4]),
    ]
    assert await journal.load([]) == []


async def test_only_a_newer_snapshot_replaces_one(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1), turn(ANN, 2), snapshots=[snapshot(ANN, 2)]))
    await journal.commit(batch(incarnation, snapshots=[snapshot(ANN, 1)]))
    assert await journal.load([ANN]) == [Recovered(ANN, snapshot(ANN, 2), [])]
    await journal.commit(batch(incarnation, turn(ANN, 3), turn(ANN, 4), turn(ANN, 5)))
    await journal.commit(batch(incarnation, snapshots=[snapshot(ANN, 3), snapshot(ANN, 5), snapshot(ANN, 4)]))
    assert await journal.load([ANN]) == [Recovered(ANN, snapshot(ANN, 5), [])]


@pytest.mark.parametrize(
    "repeated",
    [
        turn(ANN, 2, command_id="command-1"),
        turn(ANN, 1, command_id="another"),
    ],
    ids=["command id", "sequence number"],
)
async def test_a_repeated_turn_spoils_the_whole_batch(
    storage: Storage, incarnation: int, repeated: object
) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
    with pytest.raises(DuplicateTurn):
        await journal.commit(
            batch(
                incarnation,
                turn(BEN, 1, welcome("ben"), sends=[send("bet")]),
                repeated,  # type: ignore[arg-type]
                snapshots=[snapshot(BEN, 1)],
            )
        )
    assert await storage.turns() == 1
    assert await storage.balance("player:ben") is None
    assert await journal.unacknowledged("", 10) == []
    assert await journal.load([BEN]) == [Recovered(BEN, None, [])]


async def test_a_repeat_within_one_batch_is_a_duplicate(storage: Storage, incarnation: int) -> None:
    with pytest.raises(DuplicateTurn):
        await storage.journal().commit(batch(incarnation, turn(ANN, 1), turn(ANN, 2, command_id="command-1")))
    assert await storage.turns() == 0


async def test_two_actors_may_use_the_same_command_id(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, command_id="x"), turn(BEN, 1, command_id="x")))
    assert {row.actor for row in await journal.find([(ANN, "x"), (BEN, "x")])} == {ANN, BEN}


async def test_a_repeated_batch_is_a_duplicate_even_when_it_is_also_refused(
    storage: Storage, incarnation: int
) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
    spend_all = batch(incarnation, turn(ANN, 2, stake("ann", 1000), sends=[send("bet")]))
    await journal.commit(spend_all)
    with pytest.raises(DuplicateTurn):
        await journal.commit(spend_all)
    assert await storage.balance("player:ann") in (0, None)


async def test_balances_follow_the_transfers(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(
        batch(
            incarnation,
            turn(ANN, 1, welcome("ann")),
            turn(ANN, 2, stake("ann", 300), Transfer("house:slots", "player:ann", 50, "win")),
            turn(BEN, 1, welcome("ben", 5)),
        )
    )
    assert await storage.balance("player:ann") == 750
    await journal.commit(batch(incarnation, turn(ANN, 3, Transfer("player:ann", "player:ben", 750, "gift"))))
    assert await storage.balance("player:ann") in (0, None)
    assert await storage.balance("player:ben") == 755


@pytest.mark.parametrize("account", ["player:ann", "escrow:crash:1"])
async def test_no_account_with_a_floor_goes_below_zero(
    storage: Storage, incarnation: int, account: str
) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, Transfer("faucet:f", account, 10, "in"))))
    too_much = turn(ANN, 2, Transfer(account, "house:h", 11, "out"))
    with pytest.raises(CommitRefused):
        await journal.commit(batch(incarnation, turn(BEN, 1, welcome("ben")), too_much))
    assert await storage.turns() == 1
    assert await storage.balance(account) == 10
    assert await storage.balance("player:ben") is None


async def test_a_debit_from_an_account_that_never_was_is_refused(storage: Storage, incarnation: int) -> None:
    with pytest.raises(CommitRefused):
        await storage.journal().commit(batch(incarnation, turn(ANN, 1, stake("ann", 1))))
    assert await storage.turns() == 0


@pytest.mark.parametrize(
    "transfer",
    [
        Transfer("faucet:f", "player:ann", 0, "nothing"),
        Transfer("faucet:f", "player:ann", -5, "backwards"),
        Transfer("faucet:f", "player:ann", 2**63, "more than there is"),
        Transfer("player:ann", "player:ann", 5, "to itself"),
    ],
    ids=lambda transfer: transfer.reason,
)
async def test_what_is_no_transfer_is_refused(storage: Storage, incarnation: int, transfer: Transfer) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann"))))
    with pytest.raises(CommitRefused):
        await journal.commit(batch(incarnation, turn(ANN, 2, transfer)))
    assert await storage.turns() == 1
    # The journal is as usable as before.
    await journal.commit(batch(incarnation, turn(ANN, 2)))


async def test_an_emptied_escrow_leaves_nothing_behind(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    bet = Transfer("player:ann", "escrow:crash:1", 400, "bet")
    await journal.commit(batch(incarnation, turn(ANN, 1, welcome("ann")), turn(ANN, 2, bet)))
    assert await storage.balance("escrow:crash:1") == 400
    back = Transfer("escrow:crash:1", "player:ann", 400, "refund")
    await journal.commit(batch(incarnation, turn(ANN, 3, back)))
    assert await storage.balance("escrow:crash:1") is None
    await journal.commit(batch(incarnation, turn(ANN, 4, bet)))
    assert await storage.balance("escrow:crash:1") == 400


async def test_hosts_that_share_accounts_commit_at_the_same_time(storage: Storage) -> None:
    async def host(number: int) -> None:
        incarnation = await storage.membership.register(f"host-{number}", "unix:x", 60.0)
        journal = storage.journal()
        actor = ActorId(f"session/{number}")
        escrows = ["escrow:crash:1", "escrow:crash:2", "escrow:crash:3"]
        if number % 2:
            escrows.reverse()
        await journal.commit(batch(incarnation, turn(actor, 1, welcome(str(number), 3000))))
        for seq in range(2, 22):
            bets = [Transfer(f"player:{number}", escrow, 10, "bet") for escrow in escrows]
            await journal.commit(batch(incarnation, turn(actor, seq, *bets)))

    await asyncio.gather(*map(host, range(4)))
    assert await storage.balance("escrow:crash:2") == 4 * 20 * 10
    assert await storage.balance("player:3") == 3000 - 20 * 30


async def test_a_fenced_incarnation_writes_nothing(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1)))
    await storage.membership.fence(incarnation)
    with pytest.raises(Fenced):
        await journal.commit(batch(incarnation, turn(ANN, 2)))
    with pytest.raises(Fenced):
        await journal.commit(batch(incarnation, turn(ANN, 1)))
    successor = await storage.membership.register("session-host-1", "unix:/elsewhere", 60.0)
    await journal.commit(batch(successor, turn(ANN, 2)))
    assert await storage.turns() == 2


async def test_an_incarnation_that_never_registered_writes_nothing(storage: Storage) -> None:
    with pytest.raises(Fenced):
        await storage.journal().commit(batch(4711, turn(ANN, 1)))


async def test_after_fence_returns_nothing_more_is_written(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    fenced = asyncio.Event()
    acknowledged_after_fence = 0

    async def write() -> int:
        nonlocal acknowledged_after_fence
        for seq in range(1, 10_000):
            before = fenced.is_set()
            try:
                await journal.commit(batch(incarnation, turn(ANN, seq)))
            except Fenced:
                return seq - 1
            acknowledged_after_fence += before
            await asyncio.sleep(0)
        raise AssertionError("the fence never closed")

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    await storage.membership.fence(incarnation)
    rows = await storage.turns()
    fenced.set()
    assert await writing == rows
    assert await storage.turns() == rows
    assert acknowledged_after_fence == 0


async def test_a_send_stands_in_the_outbox_until_it_is_acknowledged(
    storage: Storage, incarnation: int
) -> None:
    journal = storage.journal()
    sends = [send("bet-1"), send("bet-2"), send("bet-0")]
    await journal.commit(batch(incarnation, turn(ANN, 1, sends=sends[:2]), turn(ANN, 2, sends=sends[2:])))
    by_id = sorted(sends)
    assert await journal.unacknowledged("", 10) == by_id
    assert await journal.unacknowledged("", 2) == by_id[:2]
    assert await journal.unacknowledged("bet-1", 10) == [send("bet-2")]
    await journal.commit(batch(incarnation, acknowledged=["bet-1", "unheard of"]))
    assert await journal.unacknowledged("", 10) == [send("bet-0"), send("bet-2")]
    await journal.commit(batch(incarnation, acknowledged=["bet-1"]))


async def test_a_refused_send_is_kept_but_not_sent_again(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, sends=[send("bet-1"), send("bet-2")])))
    await journal.commit(batch(incarnation, refused=[("bet-1", "rejected: no such round"), ("gone", "x")]))
    assert await journal.unacknowledged("", 10) == [send("bet-2")]


async def test_a_command_id_in_the_outbox_is_not_used_again(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(batch(incarnation, turn(ANN, 1, sends=[send("bet")])))
    with pytest.raises(CommitRefused):
        await journal.commit(batch(incarnation, turn(BEN, 1, sends=[send("bet", sender=BEN)])))
    assert await storage.turns() == 1


async def test_reminders_are_set_moved_and_cleared(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    first, second = reminder(ANN, "a", 2000), reminder(TABLE, "b", 1000, b"\x81\xa1x\x01")
    await journal.commit(
        batch(incarnation, turn(ANN, 1, reminders_set=[first]), turn(TABLE, 1, reminders_set=[second]))
    )
    assert await journal.reminders_due(3000, FIRST_REMINDER, 10) == [second, first]
    assert await journal.reminders_due(3000, FIRST_REMINDER, 1) == [second]
    key = (second.due_ms, second.actor, second.name)
    assert await journal.reminders_due(3000, key, 10) == [first]
    assert await journal.reminders_due(1999, FIRST_REMINDER, 10) == [second]
    assert await journal.reminders_due(2000, FIRST_REMINDER, 10) == [second, first]
    moved = reminder(ANN, "a", 500)
    await journal.commit(batch(incarnation, turn(ANN, 2, reminders_set=[moved])))
    assert await journal.reminders_due(3000, FIRST_REMINDER, 10) == [moved, second]
    await journal.commit(batch(incarnation, turn(ANN, 3, reminders_cleared=["a", "never set"])))
    assert await journal.reminders_due(3000, FIRST_REMINDER, 10) == [second]


async def test_the_last_word_on_a_reminder_within_a_batch_counts(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    last = reminder(ANN, "again", 7)
    await journal.commit(
        batch(
            incarnation,
            turn(ANN, 1, reminders_set=[reminder(ANN, "again", 5), reminder(ANN, "gone", 5)]),
            turn(ANN, 2, reminders_cleared=["again", "gone"]),
            turn(ANN, 3, reminders_set=[last]),
        )
    )
    assert await journal.reminders_due(100, FIRST_REMINDER, 10) == [last]


async def test_history_has_the_turns_that_pushed(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    await journal.commit(
        batch(
            incarnation,
            turn(ANN, 1, push_seq=2, pushes=2),
            turn(ANN, 2, push_seq=2),
            turn(ANN, 3, push_seq=3, pushes=1),
            turn(BEN, 1, push_seq=9, pushes=9),
            turn(ANN, 4, push_seq=3),
            turn(ANN, 5, push_seq=6, pushes=3),
            turn(ANN, 6, push_seq=6),
        )
    )

    async def seqs(after: int, turns_max: int = 10) -> list[int] | None:
        turns = await journal.history(ANN, after, turns_max)
        return None if turns is None else [turn.seq for turn in turns]

    assert await seqs(0) == [1, 3, 5]
    assert await seqs(1) == [1, 3, 5]
    assert await seqs(2) == [3, 5]
    assert await seqs(4) == [5]
    assert await seqs(6) == []
    assert await seqs(99) == []
    assert await seqs(0, turns_max=3) == [1, 3, 5]
    assert await seqs(0, turns_max=2) is None
    assert await journal.history(ActorId("session/nobody"), 0, 10) == []


async def test_history_goes_far_back(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    # Every third turn pushes.
    turns = [turn(ANN, seq, push_seq=seq // 3, pushes=int(seq % 3 == 0)) for seq in range(1, 601)]
    await journal.commit(batch(incarnation, *turns))
    history = await journal.history(ANN, 10, 500)
    assert history is not None
    assert [t.seq for t in history] == list(range(33, 601, 3))
    assert await journal.history(ANN, 10, 189) is None
    assert len(await journal.history(ANN, 10, 190) or []) == 190


async def test_large_bodies_and_states_survive(storage: Storage, incarnation: int) -> None:
    journal = storage.journal()
    big = turn(ANN, 1)
    big.body = bytes(range(256)) * 400
    image = snapshot(ANN, 1)
    image.state = bytes(range(256)) * 300
    await journal.commit(batch(incarnation, big, snapshots=[image]))
    assert (await journal.find([(ANN, "command-1")]))[0].body == big.body
    assert await journal.load([ANN]) == [Recovered(ANN, image, [])]
