"""Events are encoded once, and only what is asked for."""

from __future__ import annotations

from gateway.codec import JSON, MESSAGEPACK
from gateway.fanout import session_of
from gateway.pushes import EncodedPush
from runtime.journal import PushRecord
from runtime.stream import Pushed
from tests.unit.gateway.fakes import RECORDED_MS, messages_in, raw


def test_encoding() -> None:
    items = [PushRecord(f"kind_{number}", raw({"n": number})) for number in range(3)]
    push = EncodedPush(Pushed(session_of("u_ann"), 5, RECORDED_MS, items), "u_ann")
    assert (push.first_seq, push.last_seq) == (5, 7)
    whole = push.after(4, MESSAGEPACK)
    assert messages_in(whole) == [
        {"type": f"kind_{n}", "user_id": "u_ann", "data": {"n": n}, "timestamp": RECORDED_MS, "seq": 5 + n}
        for n in range(3)
    ]
    assert push.after(0, MESSAGEPACK) is whole
    assert messages_in(push.after(4, JSON)) == messages_in(whole)
    assert [message["seq"] for message in messages_in(push.after(5, MESSAGEPACK))] == [6, 7]
    assert [message["seq"] for message in messages_in(push.after(6, JSON))] == [7]
    assert push.after(7, MESSAGEPACK) == b""
