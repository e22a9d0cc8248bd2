"""Topics: the view, then every event once and in order, whatever happens to attaches and owners."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.broadcast import Membership
from gateway.codec import JSON, MESSAGEPACK, Codec
from gateway.counters import Counters
from gateway.limits import Limits
from gateway.topics import Topics
from runtime.identity import ActorId
from runtime.journal import PushRecord
from runtime.stream import Attached, Failure, Pushed, Result, Ticked
from tests.unit.gateway.fakes import MAIN, RECORDED_MS, TABLES, FakeClock, pack, raw
from tests.unit.gateway.outlets import FakeOutlet, Turns

Done = Callable[[Attached | Failure], None]
AWAY = Failure(0, "unavailable", "", True)


def push(first: int, count: int = 1, actor: ActorId = MAIN) -> Pushed:
    items = [PushRecord("crash_started", raw({"n": first + i})) for i in range(count)]
    return Pushed(actor, first, RECORDED_MS, items)


def tick(number: int) -> Ticked:
    return Ticked(MAIN, RECORDED_MS, PushRecord("crash_tick", raw({"tick": number})))


def view(position: int) -> Attached:
    return Attached(0, MAIN, position, RECORDED_MS, pack({"at": position}), [])


def backlog(position: int, *missed: Pushed) -> Attached:
    return Attached(0, MAIN, position, RECORDED_MS, None, list(missed))


class Router:
    """Attaches wait until the test answers them."""

    def __init__(self) -> None:
        self.attaches: list[tuple[int | None, Done]] = []
        self.detached: list[ActorId] = []
        self.fails_at_once = False

    def submit(self, *_: Any, done: Callable[[Result | Failure], None]) -> None:
        raise AssertionError

    def attach(self, actor: ActorId, after: int | None, done: Done) -> None:
        self.attaches.append((after, done))
        if self.fails_at_once:
            done(Failure(0, "overloaded", "", True))

    def detach(self, actor: ActorId) -> None:
        self.detached.append(actor)

    def answer(self, answer: Attached | Failure, number: int = -1) -> None:
        self.attaches[number][1](answer)

    @property
    def asked(self) -> list[int | None]:
        return [after for after, _ in self.attaches]


class Viewer(FakeOutlet):
    """What it heard, in short: a view at 4 is ``"at 4"``, event 5 is 5, a tick is ``"tick 1"``."""

    member: Membership

    @property
    def story(self) -> list[Any]:
        story: list[Any] = []
        for message in self.heard:
            assert (message["user_id"], message["seq"]) == (None, None)
            assert message["timestamp"] == RECORDED_MS
            ((kind, value),) = message["data"].items()
            type_ = {"at": "crash_state", "n": "crash_started", "tick": "crash_tick"}[kind]
            assert message["type"] == type_
            story.append(value if kind == "n" else f"{kind} {value}")
        return story


class House:
    def __init__(self, **limits: Any) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.clock = FakeClock()
        self.turns = Turns()
        self.router = Router()
        self.counters = Counters()
        self.topics = Topics(
            TABLES,
            {"crash": "crash_state"},
            Limits(**{"topic_view_interval_s": 0.0, **limits}),
            self.counters,
            self.clock,
            call_later=lambda delay, call: self.timers.append((delay, call)),
            call_soon=self.turns,
            draw=lambda: 0.5,
        )
        self.topics.bind(self.router)

    def join(self, codec: Codec = MESSAGEPACK) -> Viewer:
        viewer = Viewer(codec)
        viewer.member = self.topics.join("crash/main", viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self.topics.leave(viewer.member)

    def push(self, *messages: Pushed) -> None:
        for message in messages:
            self.topics.pushed(message)
        self.turns.settle()

    def answer(self, answer: Attached | Failure, number: int = -1) -> None:
        self.router.answer(answer, number)
        self.turns.settle()

    def fire(self) -> float:
        delay, call = self.timers.pop(0)
        self.clock.seconds += delay
        call()
        return delay

    def live(self, position: int = 4) -> Viewer:
        """A viewer that has the view at ``position``."""
        viewer = self.join()
        self.answer(view(position))
        return viewer


@pytest.fixture
def house() -> House:
    return House()


# Joining


def test_unbound() -> None:
    with pytest.raises(RuntimeError):
        Topics(TABLES, {"crash": "crash_state"}).join("crash/main", Viewer())


def test_every_kind_needs_a_view_event() -> None:
    with pytest.raises(ValueError, match="crash"):
        Topics(TABLES, {"roulette": "roulette_state"})


def test_an_unknown_topic_reaches_nobody(house: House) -> None:
    with pytest.raises(KeyError):
        house.topics.join("crash/nowhere", Viewer())
    house.topics.pushed(push(1, actor=ActorId("crash/nowhere")))
    house.topics.ticked(Ticked(ActorId("crash/nowhere"), RECORDED_MS, PushRecord("crash_tick", raw({}))))
    house.topics.lost(ActorId("crash/nowhere"))
    assert house.router.attaches == []


@pytest.mark.parametrize("codec", [MESSAGEPACK, JSON])
def test_the_view_and_then_the_events(house: House, codec: Codec) -> None:
    viewer = house.join(codec)
    assert house.router.asked == [None]
    house.answer(view(4))
    house.push(push(5, 3), push(8))
    assert viewer.story == ["at 4", 5, 6, 7, 8]
    assert house.router.asked == [None]


def test_both_subprotocols_hear_the_same(house: House) -> None:
    one, two = house.join(), house.join(JSON)
    house.answer(view(4))
    house.push(push(5, 2))
    assert one.heard == two.heard
    assert len(house.router.attaches) == 1, "one attach, however many watch"


def test_pushes_that_overtake_the_view(house: House) -> None:
    viewer = house.join()
    house.push(push(3), push(4, 2), push(6, 2), push(8))
    assert viewer.story == []
    house.answer(view(6))
    house.push(push(9))
    assert viewer.story == ["at 6", 7, 8, 9]


def test_joining_while_events_flow(house: House) -> None:
    first = house.live(4)
    house.push(push(5))
    second = house.join()
    house.push(push(6), push(7))
    assert second.story == []
    assert first.story == ["at 4", 5, 6, 7], "nobody waits for a newcomer"
    assert house.router.asked == [None, None]
    third = house.join()
    house.answer(view(6))
    house.push(push(8))
    assert first.story == ["at 4", 5, 6, 7, 8]
    assert second.story == ["at 6", 7, 8]
    assert third.story == ["at 6", 7, 8], "who comes while a view is on its way shares it"
    assert house.router.asked == [None, None]


def test_joining_inside_a_turns_events(house: House) -> None:
    house.live(4)
    second = house.join()
    house.push(push(5, 3))
    house.answer(view(6))
    assert second.story == ["at 6", 7]


def test_a_view_that_is_ahead_of_everybody_goes_to_everybody(house: House) -> None:
    first = house.live(4)
    second = house.join()
    house.answer(view(9))
    house.push(push(8, 2), push(10))
    assert first.story == ["at 4", "at 9", 10]
    assert second.story == ["at 9", 10]


def test_a_view_that_cannot_be_led_on_from_goes_to_everybody() -> None:
    house = House(buffered_pushes_max=2)
    first = house.live(4)
    second = house.join()
    house.push(push(5), push(6), push(7), push(8))
    assert first.story == ["at 4", 5, 6, 7, 8]
    house.answer(view(4))
    assert second.story == ["at 4", 5, 6]
    assert house.router.asked == [None, None, 6], "what did not fit is fetched again"
    house.answer(backlog(8, push(7), push(8)))
    house.push(push(9))
    assert second.story == ["at 4", 5, 6, 7, 8, 9]
    assert first.story == ["at 4", 5, 6, 7, 8, "at 4", 5, 6, 7, 8, 9]


def test_views_are_asked_for_at_intervals() -> None:
    house = House(topic_view_interval_s=0.1)
    house.live(4)
    second, third = house.join(), house.join()
    assert house.router.asked == [None]
    assert house.fire() == pytest.approx(0.1)
    fourth = house.join()
    assert house.router.asked == [None, None]
    house.answer(view(4))
    assert [viewer.story for viewer in (second, third, fourth)] == [["at 4"]] * 3


def test_leaving(house: House) -> None:
    first, second = house.join(), house.join()
    house.leave(second)
    house.answer(view(4))
    house.push(push(5))
    house.leave(first)
    house.leave(first)
    house.push(push(6))
    assert (first.story, second.story) == (["at 4", 5], [])


# The last one goes


def test_the_last_one_leaves_and_after_a_while_the_topic_is_let_go(house: House) -> None:
    viewer = house.live(4)
    house.leave(viewer)
    house.push(push(5))
    assert house.router.detached == []
    assert house.fire() == Limits().topic_linger_s
    assert house.router.detached == [MAIN]
    again = house.join()
    assert house.router.asked == [None, None]
    house.answer(view(9))
    house.push(push(10))
    assert again.story == ["at 9", 10]


def test_somebody_comes_back_in_time(house: House) -> None:
    house.leave(house.live(4))
    house.push(push(5))
    again = house.join()
    house.fire()
    house.answer(view(5))
    house.push(push(6))
    assert again.story == ["at 5", 6]
    assert house.router.detached == []


def test_an_attach_under_way_when_the_last_one_goes(house: House) -> None:
    house.leave(house.join())
    house.fire()
    assert house.router.detached == [MAIN]
    house.answer(view(4))
    house.push(push(5))
    assert house.router.detached == [MAIN, MAIN], "it was attached after all"
    again = house.join()
    house.answer(view(5))
    assert again.story == ["at 5"]


# What breaks the order


def test_a_new_owner_and_exactly_what_was_missed(house: House) -> None:
    one, two = house.join(), house.join(JSON)
    house.answer(view(4))
    house.push(push(5))
    house.topics.lost(MAIN)
    assert house.router.asked == [None, 5]
    house.answer(backlog(9, push(6, 2), push(8, 2)))
    house.push(push(10))
    assert one.story == two.story == ["at 4", 5, 6, 7, 8, 9, 10]
    assert house.counters.reattaches == 1


def test_a_new_owner_and_nothing_missed(house: House) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.answer(backlog(4))
    house.push(push(5))
    assert viewer.story == ["at 4", 5]


def test_a_new_owner_that_no_longer_keeps_what_was_missed(house: House) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.push(push(900))
    house.answer(view(900))
    house.push(push(901))
    assert viewer.story == ["at 4", "at 900", 901]


def test_a_new_owner_that_answers_with_a_view_of_what_is_known(house: House) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.answer(view(4))
    house.push(push(5))
    assert viewer.story == ["at 4", "at 4", 5]
    assert house.router.asked == [None, 4], "and that was that"


def test_pushes_that_overtake_what_was_missed(house: House) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.push(push(8), push(9))
    assert house.router.asked == [None, 4]
    house.answer(backlog(7, push(5), push(6, 2)))
    assert viewer.story == ["at 4", 5, 6, 7, 8, 9]


def test_the_answer_of_the_owner_that_was(house: House) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.topics.lost(MAIN)
    assert house.router.asked == [None, 4, 4]
    house.answer(backlog(6, push(5, 2)), number=1)
    assert viewer.story == ["at 4"]
    house.answer(backlog(7, push(5, 3)), number=2)
    house.push(push(8))
    assert viewer.story == ["at 4", 5, 6, 7, 8]


def test_an_owner_lost_before_the_first_view(house: House) -> None:
    viewer = house.join()
    house.topics.lost(MAIN)
    assert house.router.asked == [None, None]
    house.answer(view(3), number=0)
    assert viewer.story == []
    house.answer(view(4), number=1)
    assert viewer.story == ["at 4"]


def test_an_owner_lost_while_nobody_watches(house: House) -> None:
    house.leave(house.live(4))
    house.topics.lost(MAIN)
    assert house.router.asked == [None]
    again = house.join()
    assert house.router.asked == [None, None]
    house.answer(view(7))
    assert again.story == ["at 7"]


def test_a_newcomer_while_the_owner_changes(house: House) -> None:
    first = house.live(4)
    house.topics.lost(MAIN)
    second = house.join()
    assert house.router.asked == [None, 4], "one request at a time"
    house.answer(backlog(6, push(5, 2)))
    assert house.router.asked == [None, 4, None]
    house.push(push(7))
    house.answer(view(6))
    assert first.story == ["at 4", 5, 6, 7]
    assert second.story == ["at 6", 7]


def test_a_gap(house: House) -> None:
    viewer = house.live(4)
    house.push(push(6), push(7))
    assert viewer.story == ["at 4"]
    assert house.router.asked == [None, 4]
    house.answer(backlog(7, push(5), push(6), push(7)))
    house.push(push(8))
    assert viewer.story == ["at 4", 5, 6, 7, 8]


def test_a_gap_after_what_was_missed_is_fetched_too(house: House) -> None:
    viewer = house.live(4)
    house.push(push(6))
    house.push(push(9))
    house.answer(backlog(6, push(5), push(6)))
    assert house.router.asked == [None, 4, 6]
    house.answer(backlog(9, push(7, 2), push(9)))
    assert viewer.story == ["at 4", 5, 6, 7, 8, 9]


def test_repeated_and_overlapping_pushes(house: House) -> None:
    viewer = house.live(4)
    house.push(push(5, 2), push(5, 2), push(4, 4), push(2))
    assert viewer.story == ["at 4", 5, 6, 7]


@pytest.mark.parametrize("answer", [backlog(9, push(6, 4)), backlog(9, push(5), push(8, 2)), backlog(9)])
def test_a_backlog_with_a_hole_is_replaced_by_the_view(house: House, answer: Attached) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.answer(answer)
    assert house.router.asked == [None, 4, None]
    house.answer(view(9))
    house.push(push(10))
    assert viewer.story[-2:] == ["at 9", 10]
    assert viewer.story[:-2] in (["at 4"], ["at 4", 5])


# Out of reach


def test_back_off_for_as_long_as_anybody_waits() -> None:
    house = House(attach_backoff_s=0.1, attach_backoff_max_s=0.8, attach_attempts_max=2)
    viewer = house.join()
    delays = []
    for _ in range(6):
        house.answer(AWAY)
        delays.append(house.fire())
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 0.8, 0.8])
    house.answer(Failure(0, "internal", "", False))
    house.fire()
    house.answer(view(4))
    assert viewer.story == ["at 4"]
    house.topics.lost(MAIN)
    house.answer(AWAY)
    assert house.fire() == pytest.approx(0.1), "it begins anew"
    assert house.router.asked[-1] == 4


def test_nobody_waits_any_more() -> None:
    house = House()
    viewer = house.join()
    house.answer(AWAY)
    house.leave(viewer)
    while house.timers:
        house.fire()
    assert house.router.asked == [None]


def test_a_router_that_refuses_at_once(house: House) -> None:
    house.router.fails_at_once = True
    viewer = house.join()
    house.router.fails_at_once = False
    house.fire()
    house.answer(view(4))
    assert viewer.story == ["at 4"]


def test_neither_view_nor_position_is_no_loop(house: House) -> None:
    viewer = house.join()
    house.answer(backlog(4))
    assert house.router.asked == [None]
    house.fire()
    house.answer(view(4))
    assert viewer.story == ["at 4"]


# Ticks


def test_ticks(house: House) -> None:
    viewer = house.join()
    house.topics.ticked(tick(1))
    house.answer(view(4))
    house.topics.ticked(tick(2))
    house.push(push(5))
    house.topics.ticked(tick(3))
    house.turns.settle()
    assert viewer.story == ["at 4", "tick 2", 5, "tick 3"]


def test_no_tick_while_something_may_be_missing(house: House) -> None:
    viewer = house.live(4)
    house.topics.lost(MAIN)
    house.topics.ticked(tick(1))
    house.answer(backlog(5, push(5)))
    house.topics.ticked(tick(2))
    house.turns.settle()
    assert viewer.story == ["at 4", 5, "tick 2"]


def test_a_newcomer_gets_no_tick_before_its_view(house: House) -> None:
    first = house.live(4)
    second = house.join()
    house.topics.ticked(tick(1))
    house.answer(view(4))
    house.topics.ticked(tick(2))
    house.turns.settle()
    assert first.story == ["at 4", "tick 1", "tick 2"]
    assert second.story == ["at 4", "tick 2"]


# Everything at once


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_everybody_has_one_gap_free_story(seed: int) -> None:
    """Viewers come and go; pushes, answers, owners and slices happen in any order."""
    chance = random.Random(seed)
    house = House(buffered_pushes_max=3, topic_slice_sockets=2, attach_backoff_s=0.0)
    turns: list[Pushed] = []
    attached = False
    asked_before = 0
    due: list[tuple[int | None, Done]] = []
    viewers: list[Viewer] = []

    def position() -> int:
        return turns[-1].first_seq + len(turns[-1].items) - 1 if turns else 0

    def attach() -> None:
        nonlocal asked_before, attached
        for after, done in house.router.attaches[asked_before:]:
            attached = True
            due.append((after, done))
        asked_before = len(house.router.attaches)

    def answer() -> None:
        after, done = due.pop(0)
        if chance.random() < 0.2:
            done(AWAY)
        elif after is None or after > position() or chance.random() < 0.2:
            done(view(position()))
        else:
            done(backlog(position(), *(turn for turn in turns if turn.first_seq > after)))

    def lose() -> None:
        nonlocal attached
        attached = False
        if chance.random() < 0.5:
            due.clear()
        house.topics.lost(MAIN)

    for _ in range(400):
        roll = chance.random()
        if roll < 0.1:
            viewers.append(house.join(chance.choice([MESSAGEPACK, JSON])))
        elif roll < 0.15 and viewers:
            house.leave(chance.choice(viewers))
        elif roll < 0.5:
            turns.append(push(position() + 1, chance.randint(1, 3)))
            if attached and chance.random() < 0.95:
                house.topics.pushed(turns[-1])
        elif roll < 0.55:
            house.topics.ticked(tick(0))
        elif roll < 0.6 and attached:
            lose()
        elif roll < 0.75 and due:
            answer()
        elif roll < 0.85 and house.timers:
            house.fire()
        elif roll < 0.9:
            for viewer in viewers:
                viewer.flush()
        else:
            house.turns.turn()
        attach()

    def rest() -> None:
        while due or house.timers or house.turns.calls:
            if due:
                answer()
            elif house.timers:
                house.fire()
            house.turns.settle()
            attach()

    # The end: the topic comes to rest, one more push uncovers what is missing, and is at rest again.
    rest()
    turns.append(push(position() + 1))
    house.topics.pushed(turns[-1])
    attach()
    rest()
    ended = 0
    for viewer in viewers:
        story = [entry for entry in viewer.story if entry != "tick 0"]
        at: int | None = None
        for entry in story:
            if isinstance(entry, str):
                at = int(entry.removeprefix("at "))
            else:
                assert at is not None, "an event before the view"
                assert entry == at + 1, story
                at = entry
        if viewer.member.is_ended:
            ended += 1
        else:
            assert at == position(), story
    assert ended < len(viewers)
