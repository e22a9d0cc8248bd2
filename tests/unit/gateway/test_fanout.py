"""Fan-out: every event once and in order, whatever happens to attaches and owners."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.codec import JSON, MESSAGEPACK, Codec
from gateway.fanout import Fanout, Subscription, session_of
from gateway.limits import Limits
from runtime.identity import ActorId
from runtime.journal import PushRecord
from runtime.stream import Attached, Failure, Pushed, Result
from tests.unit.gateway.fakes import RECORDED_MS, messages_in, pack, raw

ANN = session_of("u_ann")
Done = Callable[[Attached | Failure], None]


def push(first: int, count: int = 1, actor: ActorId = ANN) -> Pushed:
    items = [PushRecord("profile_update", raw({"n": first + i})) for i in range(count)]
    return Pushed(actor, first, RECORDED_MS, items)


def view(position: int) -> Attached:
    return Attached(0, ANN, position, RECORDED_MS, pack({"at": position}), [])


def backlog(position: int, *missed: Pushed) -> Attached:
    return Attached(0, ANN, position, RECORDED_MS, None, list(missed))


class Router:
    """Attaches wait until the test answers them."""

    def __init__(self) -> None:
        self.attaches: list[tuple[int | None, Done]] = []
        self.detached: list[ActorId] = []

    def submit(self, *_: Any, done: Callable[[Result | Failure], None]) -> None:
        raise AssertionError

    def attach(self, actor: ActorId, after: int | None, done: Done) -> None:
        self.attaches.append((after, done))

    def detach(self, actor: ActorId) -> None:
        self.detached.append(actor)

    def answer(self, answer: Attached | Failure, number: int = -1) -> None:
        self.attaches[number][1](answer)


class Socket:
    def __init__(self, codec: Codec = MESSAGEPACK) -> None:
        self.codec = codec
        self.log: list[Any] = []
        self.frames: list[bytes] = []

    def attached(self, resumed: bool, position: int) -> None:
        self.log.append(("attached", resumed, position))

    def deliver(self, frames: bytes) -> None:
        self.frames.append(frames)
        self.log += [message["seq"] for message in messages_in(frames)]

    def detached(self) -> None:
        self.log.append("detached")

    def attach_failed(self, failure: Failure) -> None:
        self.log.append(("failed", failure.code))

    def close(self, code: int, reason: str) -> None:
        self.log.append(("close", code))

    @property
    def seqs(self) -> list[int]:
        return [entry for entry in self.log if isinstance(entry, int)]


class House:
    def __init__(self, **limits: Any) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.router = Router()
        self.fanout = Fanout(
            Limits(**limits),
            call_later=lambda delay, call: self.timers.append((delay, call)),
            draw=lambda: 0.5,
        )
        self.fanout.bind(self.router)

    def join(self, after: int | None = None, codec: Codec = MESSAGEPACK) -> tuple[Socket, Subscription]:
        socket = Socket(codec)
        return socket, self.fanout.subscribe("u_ann", after, socket)

    def fire(self) -> float:
        delay, call = self.timers.pop(0)
        call()
        return delay


@pytest.fixture
def house() -> House:
    return House()


def test_unbound() -> None:
    with pytest.raises(RuntimeError):
        Fanout().subscribe("u_ann", None, Socket())


def test_a_fresh_start(house: House) -> None:
    socket, _ = house.join()
    assert house.router.attaches[0][0] is None
    house.router.answer(view(4))
    house.fanout.pushed(push(5, 3))
    assert socket.log == [("attached", False, 4), 4, 5, 6, 7]
    state = messages_in(socket.frames[0])[0]
    assert state == {
        "type": "initial_state",
        "user_id": "u_ann",
        "data": {"at": 4},
        "timestamp": RECORDED_MS,
        "seq": 4,
    }


def test_a_resume(house: House) -> None:
    socket, _ = house.join(after=4)
    assert house.router.attaches[0][0] == 4
    house.router.answer(backlog(9, push(5, 2), push(7, 3)))
    house.fanout.pushed(push(10))
    assert socket.log == [("attached", True, 9), 5, 6, 7, 8, 9, 10]


def test_a_resume_with_nothing_missed(house: House) -> None:
    socket, _ = house.join(after=4)
    house.router.answer(backlog(4))
    assert socket.log == [("attached", True, 4)]


def test_a_resume_from_the_middle_of_a_turn(house: House) -> None:
    socket, _ = house.join(after=6)
    house.router.answer(backlog(9, push(5, 3), push(8, 2)))
    assert socket.seqs == [7, 8, 9]


def test_a_resume_that_is_too_old(house: House) -> None:
    socket, _ = house.join(after=4)
    house.router.answer(view(900))
    house.fanout.pushed(push(901))
    assert socket.log == [("attached", False, 900), 900, 901]


@pytest.mark.parametrize(
    "answer", [backlog(3), backlog(9, push(6, 4)), backlog(9, push(5, 2), push(8, 2)), backlog(9, push(5, 2))]
)
def test_a_backlog_that_does_not_lead_there_is_replaced_by_the_state(house: House, answer: Attached) -> None:
    socket, _ = house.join(after=4)
    house.router.answer(answer)
    assert socket.log == []
    assert house.router.attaches[-1][0] is None
    house.router.answer(view(9))
    assert socket.log == [("attached", False, 9), 9]


def test_neither_state_nor_position_is_a_defect_and_no_loop(house: House) -> None:
    socket, _ = house.join()
    house.router.answer(backlog(9))
    assert socket.log == [("failed", "internal")]
    assert len(house.router.attaches) == 1


def test_pushes_that_overtake_the_answer(house: House) -> None:
    socket, _ = house.join()
    for first in (3, 4, 6, 8):
        house.fanout.pushed(push(first, 2 if first in (4, 6) else 1))
    assert socket.log == []
    house.router.answer(view(6))
    assert socket.log == [("attached", False, 6), 6, 7, 8]


def test_a_gap_among_pushes_that_overtook(house: House) -> None:
    socket, _ = house.join()
    house.fanout.pushed(push(9))
    house.router.answer(view(6))
    assert socket.seqs == [6]
    assert house.router.attaches[-1][0] == 6
    house.router.answer(backlog(9, push(7, 3)))
    assert socket.seqs == [6, 7, 8, 9]


def test_more_pushes_than_the_buffer_holds_are_fetched() -> None:
    house = House(buffered_pushes_max=2)
    socket, subscription = house.join()
    for seq in range(1, 6):
        house.fanout.pushed(push(seq))
    assert len(subscription.buffer) == 2
    house.router.answer(view(0))
    assert socket.seqs == [0, 1, 2]
    assert house.router.attaches[-1][0] == 2
    house.router.answer(backlog(5, push(3), push(4), push(5)))
    assert socket.seqs == [0, 1, 2, 3, 4, 5]


def test_a_gap(house: House) -> None:
    socket, _ = house.join()
    house.router.answer(view(0))
    house.fanout.pushed(push(1))
    house.fanout.pushed(push(4))
    assert socket.log[-1] == "detached"
    assert house.router.attaches[-1][0] == 1
    house.fanout.pushed(push(5))
    house.router.answer(backlog(4, push(2, 2), push(4)))
    assert socket.seqs == [0, 1, 2, 3, 4, 5]


def test_duplicates_and_overlaps_are_not_written_again(house: House) -> None:
    socket, _ = house.join()
    house.router.answer(view(0))
    for message in (push(1, 3), push(1, 3), push(2), push(3, 2), push(5, 0)):
        house.fanout.pushed(message)
    assert socket.seqs == [0, 1, 2, 3, 4]
    assert len(house.router.attaches) == 1


def test_lost(house: House) -> None:
    first, _ = house.join()
    house.router.answer(view(0))
    house.fanout.pushed(push(1, 5))
    second, _ = house.join(after=2)
    house.router.answer(backlog(5, push(1, 5)))
    house.fanout.pushed(push(6))
    house.fanout.lost(ANN)
    assert [after for after, _ in house.router.attaches[-2:]] == [6, 6]
    house.fanout.pushed(push(8))
    house.router.answer(backlog(7, push(7)), -2)
    house.router.answer(backlog(8, push(7), push(8)), -1)
    assert first.seqs == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert second.seqs == [3, 4, 5, 6, 7, 8]
    house.fanout.lost(session_of("u_nobody"))


def test_lost_while_attaching_makes_the_first_answer_stale(house: House) -> None:
    socket, _ = house.join()
    house.fanout.lost(ANN)
    assert len(house.router.attaches) == 2
    house.router.answer(view(3), 0)
    assert socket.seqs == []
    house.fanout.pushed(push(5))
    house.router.answer(view(4), 1)
    assert socket.seqs == [4, 5]


def test_lost_before_the_first_state(house: House) -> None:
    socket, _ = house.join(after=3)
    house.fanout.lost(ANN)
    assert house.router.attaches[-1][0] == 3
    house.router.answer(backlog(3))
    assert ("attached", True, 3) in socket.log


def test_retries_are_spaced_and_bounded() -> None:
    house = House(attach_attempts_max=4, attach_backoff_s=0.1, attach_backoff_max_s=0.3)
    socket, _ = house.join(after=2)
    delays = []
    for _ in range(3):
        house.router.answer(Failure(0, "unavailable", "", True))
        delays.append(house.fire())
    assert delays == pytest.approx([0.1, 0.2, 0.3])
    assert [after for after, _ in house.router.attaches] == [2] * 4
    house.router.answer(Failure(0, "unavailable", "", True))
    assert socket.log == [("failed", "unavailable")]
    assert not house.timers


def test_a_retry_that_succeeds_forgets_the_failures(house: House) -> None:
    socket, subscription = house.join()
    house.router.answer(Failure(0, "overloaded", "", True))
    house.fanout.pushed(push(1))
    house.fire()
    house.fanout.pushed(push(2))
    house.router.answer(view(1))
    assert socket.seqs == [1, 2]
    assert subscription.failures == 0


def test_what_cannot_be_retried(house: House) -> None:
    socket, _ = house.join()
    house.router.answer(Failure(0, "internal", "", False))
    assert socket.log == [("failed", "internal")]
    assert not house.timers


def test_a_retry_of_a_connection_that_went(house: House) -> None:
    _, subscription = house.join()
    house.router.answer(Failure(0, "unavailable", "", True))
    house.fanout.unsubscribe(subscription)
    house.fire()
    assert len(house.router.attaches) == 1


def test_a_retry_that_was_overtaken_by_lost(house: House) -> None:
    house.join()
    house.router.answer(Failure(0, "unavailable", "", True))
    house.fanout.lost(ANN)
    house.fire()
    assert len(house.router.attaches) == 2


def test_only_the_last_connection_detaches(house: House) -> None:
    first, one = house.join()
    second, two = house.join()
    house.router.answer(view(0), 0)
    house.router.answer(view(0), 1)
    house.fanout.unsubscribe(one)
    house.fanout.unsubscribe(one)
    assert house.router.detached == []
    house.fanout.pushed(push(1))
    assert (first.seqs, second.seqs) == ([0], [0, 1])
    house.fanout.unsubscribe(two)
    assert house.router.detached == [ANN]


def test_an_answer_to_nobody(house: House) -> None:
    socket, subscription = house.join()
    house.fanout.unsubscribe(subscription)
    house.router.answer(view(3))
    assert socket.log == []
    house.fanout.pushed(push(4))
    assert house.router.detached == [ANN, ANN], "its attach was under way: once more"


def test_the_same_bytes_for_every_connection_and_json_beside_it(house: House) -> None:
    sockets = [house.join(codec=codec)[0] for codec in (MESSAGEPACK, MESSAGEPACK, JSON, JSON)]
    for number in range(4):
        house.router.answer(view(0), number)
    house.fanout.pushed(push(1, 2))
    one, two, three, four = (socket.frames[-1] for socket in sockets)
    assert one is two
    assert three is four
    assert messages_in(one) == messages_in(three)
    assert house.fanout.counters.events_sent == 8
    assert house.fanout.counters.pushes_encoded == 1


def test_one_connection_too_many_replaces_the_oldest() -> None:
    house = House(connections_per_user_max=2)
    oldest, _ = house.join()
    house.join()
    house.join()
    assert oldest.log == [("close", 4409)]
    assert house.router.detached == []


def test_a_connection_that_ends_while_others_are_served(house: House) -> None:
    class Leaving(Socket):
        def deliver(self, frames: bytes) -> None:
            super().deliver(frames)
            house.fanout.unsubscribe(subscription)

    leaving = Leaving()
    subscription = house.fanout.subscribe("u_ann", None, leaving)
    staying, _ = house.join()
    house.router.answer(view(0), 1)
    house.router.answer(view(0), 0)
    house.fanout.pushed(push(1))
    assert staying.seqs == [0, 1]


@pytest.mark.parametrize("seed", range(40))
def test_any_order_of_trouble_delivers_each_event_once(seed: int) -> None:
    """A host that keeps its history, a router that loses, delays and repeats."""
    dice = random.Random(seed)
    house = House(buffered_pushes_max=3)
    turns: list[Pushed] = []
    pending: list[tuple[int | None, Done]] = []
    sockets: list[tuple[Socket, int | None]] = []

    def position() -> int:
        return turns[-1].first_seq + len(turns[-1].items) - 1 if turns else 0

    def attach(actor: ActorId, after: int | None, done: Done) -> None:
        pending.append((after, done))

    house.router.attach = attach  # type: ignore[method-assign]

    def answer_one() -> None:
        after, done = pending.pop(dice.randrange(len(pending)))
        if dice.random() < 0.1:
            done(Failure(0, "unavailable", "", True))
        elif after is None or dice.random() < 0.1:
            done(view(position()))
        else:
            done(backlog(position(), *(t for t in turns if t.first_seq + len(t.items) - 1 > after)))

    for _ in range(150):
        choice = dice.random()
        if choice < 0.4:
            turns.append(push(position() + 1, dice.randint(1, 3)))
            for _ in range(dice.choice((0, 1, 1, 1, 1, 1, 2))):
                house.fanout.pushed(turns[-1])
        elif choice < 0.5:
            house.fanout.lost(ANN)
        elif choice < 0.6 and len(sockets) < 5:
            after = dice.choice((None, dice.randint(0, position())))
            sockets.append((house.join(after)[0], after))
        elif choice < 0.7 and house.timers:
            house.fire()
        elif pending:
            answer_one()
    turns.append(push(position() + 1))
    house.fanout.lost(ANN)
    while pending or house.timers:
        if pending:
            after, done = pending.pop(0)
            if after is None:
                done(view(position()))
            else:
                done(backlog(position(), *(t for t in turns if t.first_seq + len(t.items) - 1 > after)))
        else:
            house.fire()

    for socket, after in sockets:
        if any(entry[0] == "failed" for entry in socket.log if isinstance(entry, tuple)):
            continue
        at = after
        for message in (message for frames in socket.frames for message in messages_in(frames)):
            if message["type"] == "initial_state":
                assert at is None or message["seq"] >= at
            else:
                assert message["seq"] == (at or 0) + 1
            at = message["seq"]
        assert at == position()
