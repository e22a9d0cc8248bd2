"""The queue of a topic: order, slices, slow readers, and the trouble of one socket."""

from __future__ import annotations

from gateway.broadcast import Audience, Broadcast, Membership
from gateway.codec import JSON, MESSAGEPACK, Codec
from gateway.counters import Counters
from tests.unit.gateway.outlets import FakeOutlet, Turns, member_of


class House:
    def __init__(self, slice_sockets: int = 100, queued_max: int = 100) -> None:
        self.turns = Turns()
        self.counters = Counters()
        self.broadcast = Broadcast(slice_sockets, queued_max, self.counters, self.turns)
        self.audience = Audience()

    def join(self, count: int = 1, codec: Codec = MESSAGEPACK) -> list[Membership]:
        members = [member_of(FakeOutlet(codec)) for _ in range(count)]
        for member in members:
            self.audience.add(member)
        return members

    def put(self, frame: bytes, is_tick: bool = False) -> None:
        self.broadcast.put(self.audience.parts(lambda codec: frame), is_tick)


def got(member: Membership) -> list[bytes]:
    """What was written so far; what waits in the socket is not."""
    outlet = member.outlet
    assert isinstance(outlet, FakeOutlet)
    return outlet.frames


def flush(member: Membership) -> None:
    outlet = member.outlet
    assert isinstance(outlet, FakeOutlet)
    outlet.flush()


def test_in_order_to_everybody() -> None:
    house = House()
    members = house.join(3)
    house.put(b"1")
    house.put(b"2")
    assert [got(member) for member in members] == [[], [], []], "nothing is written within the call"
    house.turns.settle()
    assert [got(member) for member in members] == [[b"1", b"2"]] * 3
    assert house.counters.topic_events_sent == 6


def test_encoded_once_for_each_subprotocol_that_is_spoken() -> None:
    house = House()
    house.join(3)
    asked: list[str] = []

    def encoded(codec: Codec) -> bytes:
        asked.append(codec.subprotocol)
        return codec.subprotocol.encode()

    house.audience.parts(encoded)
    assert asked == ["casino.v1.msgpack"]
    (debugger,) = house.join(1, JSON)
    house.broadcast.put(house.audience.parts(encoded))
    house.turns.settle()
    assert asked == ["casino.v1.msgpack", "casino.v1.msgpack", "casino.v1.json"]
    assert got(debugger) == [b"casino.v1.json"]


def test_the_same_bytes_object_goes_to_everybody() -> None:
    house = House()
    one, two = house.join(2)
    house.put(bytes([1, 2, 3]))
    house.turns.settle()
    assert got(one)[0] is got(two)[0]


def test_slices() -> None:
    house = House(slice_sockets=2)
    members = house.join(3) + house.join(2, JSON)
    house.put(b"1")
    house.put(b"2")
    written = []
    while house.turns.calls:
        house.turns.turn()
        written.append(sum(len(got(member)) for member in members))
    assert written == [2, 4, 6, 8, 10]
    assert all(got(member) == [b"1", b"2"] for member in members)


def test_who_comes_while_an_event_is_being_written_does_not_get_it() -> None:
    house = House(slice_sockets=1)
    early = house.join(3)
    house.put(b"1")
    house.turns.turn()
    (late,) = house.join(1)
    house.put(b"2")
    house.turns.settle()
    assert [got(member) for member in early] == [[b"1", b"2"]] * 3
    assert got(late) == [b"2"]


def test_who_leaves_while_an_event_is_being_written_gets_no_more() -> None:
    house = House(slice_sockets=1)
    members = house.join(3)
    house.put(b"1")
    house.turns.turn()
    for member in members:
        house.audience.discard(member)
        member.end()
    assert not house.audience
    house.turns.settle()
    assert sum(len(got(member)) for member in members) == 1


def test_what_the_socket_sent_before_stays_before() -> None:
    house = House()
    (member,) = house.join()
    member.outlet.send(b"result")
    house.put(b"1")
    house.put(b"t", is_tick=True)
    house.turns.settle()
    assert got(member) == []
    flush(member)
    assert got(member) == [b"result", b"1", b"t"]
    house.put(b"2")
    house.turns.settle()
    assert got(member) == [b"result", b"1", b"t", b"2"]


def test_a_slow_reader_keeps_the_newest_tick_only() -> None:
    house = House()
    slow, quick = house.join(2)
    slow.pause()
    for tick in (b"t1", b"t2", b"t3"):
        house.put(tick, is_tick=True)
        house.turns.settle()
    flush(slow)
    assert (got(slow), got(quick)) == ([], [b"t1", b"t2", b"t3"])
    assert house.counters.topic_ticks_replaced == 2
    slow.resume()
    flush(slow)
    assert got(slow) == [b"t3"]
    slow.pause()
    slow.resume()
    house.put(b"t4", is_tick=True)
    house.turns.settle()
    assert got(slow) == [b"t3", b"t4"]


def test_a_slow_reader_gets_every_event_and_no_tick_from_before_it() -> None:
    house = House()
    (slow,) = house.join()
    slow.pause()
    for frame in (b"t1", b"1", b"2", b"t2", b"3", b"t3", b"t4"):
        house.put(frame, is_tick=frame.startswith(b"t"))
        house.turns.settle()
    flush(slow)
    assert got(slow) == [b"1", b"2", b"3"]
    slow.resume()
    flush(slow)
    assert got(slow) == [b"1", b"2", b"3", b"t4"]
    assert house.counters.topic_ticks_replaced == 3


def test_a_tick_that_nobody_has_yet_is_replaced() -> None:
    house = House(slice_sockets=1)
    one, two = house.join(2)
    house.put(b"t1", is_tick=True)
    house.put(b"1")
    house.put(b"t2", is_tick=True)
    house.turns.turn()
    house.turns.turn()
    house.turns.turn()
    assert (got(one), got(two)) == ([b"1", b"t2"], [b"1"])
    house.put(b"t3", is_tick=True)
    house.turns.settle()
    assert (got(one), got(two)) == ([b"1", b"t2", b"t3"], [b"1", b"t2", b"t3"]), "a begun one is finished"


def test_a_long_queue_is_written_at_once() -> None:
    house = House(slice_sockets=1, queued_max=3)
    members = house.join(2)
    for number in range(4):
        house.put(bytes([number]))
    assert [len(got(member)) for member in members] == [3, 3]
    house.turns.settle()
    assert [got(member) for member in members] == [[b"\0", b"\1", b"\2", b"\3"]] * 2


def test_a_socket_that_fails_is_aborted_and_the_others_are_written() -> None:
    house = House()
    one, bad, two = house.join(3)
    assert isinstance(bad.outlet, FakeOutlet)
    bad.outlet.fails = True
    house.put(b"1")
    house.turns.settle()
    assert (got(one), got(two)) == ([b"1"], [b"1"])
    assert bad.outlet.is_aborted


def test_nothing_is_said_to_who_has_left() -> None:
    house = House()
    (member,) = house.join()
    member.pause()
    house.put(b"t1", is_tick=True)
    house.turns.settle()
    member.end()
    member.resume()
    house.put(b"1")
    house.turns.settle()
    flush(member)
    assert got(member) == []


def test_without_an_audience_nothing_is_queued() -> None:
    house = House()
    house.put(b"1")
    assert not house.turns.calls
