"""The connection's state machine, driven by hand: every limit, every refusal, every order."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import player_commands
from gateway.codec import JSON, MESSAGEPACK, Codec
from gateway.connection_lifecycle import State
from gateway.counters import Counters
from gateway.key_ring import KeyRing
from gateway.limits import Limits
from gateway.protocol import Connection, Terms
from gateway.revocations import Verdict
from gateway.schema import ERRORS
from gateway.tokens import AccessTokens
from runtime.stream import Failure, Result
from tests.unit.gateway.fakes import CATALOGUE, KEYS, TABLES, FakeClock, messages_in, pack, raw, unpack


class Client:
    """A connection and what it did (it is its own ``Actions``)."""

    def __init__(self, limits: Limits | None = None, codec: Codec = MESSAGEPACK) -> None:
        self.clock = FakeClock()
        self.tokens = AccessTokens(KeyRing(KEYS, "k1"), self.clock)
        self.counters = Counters()
        commands = player_commands(CATALOGUE)
        terms = Terms(limits or Limits(), commands, self.tokens.verify, self.clock, self.counters, TABLES)
        self.codec = codec
        self.sent: list[Any] = []
        self.submitted: list[tuple[str, str, Any]] = []
        self.subscribed: list[tuple[str, int | None]] = []
        self.topics: list[tuple[str, str]] = []
        self.closed: tuple[int, str] | None = None
        self.connection = Connection(terms, codec, self, "c1", self.clock.seconds)

    def send(self, frames: bytes) -> None:
        assert self.closed is None, "nothing is sent after a close"
        self.sent += messages_in(frames)

    def submit(self, command_id: str, name: str, data: bytes) -> None:
        self.submitted.append((command_id, name, unpack(data)))

    def subscribe(self, user_id: str, after: int | None) -> None:
        self.subscribed.append((user_id, after))

    def join_topic(self, topic: str) -> None:
        assert self.sent[-1]["type"] == "result", "the topic's events come after it"
        self.topics.append(("join", topic))

    def leave_topic(self, topic: str) -> None:
        self.topics.append(("leave", topic))

    def close(self, code: int, reason: str) -> None:
        assert self.closed is None
        self.closed = (code, reason)

    def says(self, message: Any) -> list[Any]:
        """What is sent in answer to a message (bytes go as they are)."""
        before = len(self.sent)
        if not isinstance(message, bytes):
            message = pack(message) if self.codec is MESSAGEPACK else msgspec.json.encode(message)
        self.connection.receive(message, self.clock.seconds)
        return self.sent[before:]

    def gets_error(self, message: Any) -> tuple[str | None, str]:
        (answer,) = self.says(message)
        assert answer["type"] == "error"
        assert set(answer["data"]) == {"code", "message", "retryable"}
        assert answer["data"]["retryable"] is ERRORS[answer["data"]["code"]].retryable
        return answer["id"], answer["data"]["code"]

    def passes(self, seconds: int) -> None:
        """Time passes, and the sweep comes by."""
        self.clock.ms += 1000 * seconds
        self.clock.seconds += seconds
        if self.closed is None:
            self.connection.check_deadline(self.clock.seconds)

    def authenticate(self, **data: Any) -> list[Any]:
        token = self.tokens.issue("u_ann").token
        return self.says({"type": "authenticate", "id": "a", "data": {"token": token, **data}})


def spin(command_id: Any = "1", stake: Any = 5) -> dict[str, Any]:
    return {"type": "spin_slots", "id": command_id, "data": {"stake": stake}}


def live(limits: Limits | None = None, codec: Codec = MESSAGEPACK) -> Client:
    client = Client(limits, codec)
    client.authenticate()
    client.connection.attached(False, 0)
    client.sent.clear()
    return client


# The lifecycle


@pytest.mark.parametrize("codec", [MESSAGEPACK, JSON])
def test_from_authenticate_to_result(codec: Codec) -> None:
    client = Client(codec=codec)
    assert client.connection.state is State.AWAITING_AUTHENTICATION
    assert client.authenticate(resume_from=7) == [{"type": "result", "id": "a", "data": {"user_id": "u_ann"}}]
    assert client.subscribed == [("u_ann", 7)]
    assert client.connection.state is State.ATTACHING

    client.connection.attached(True, 9)
    greeting = client.sent[-1]
    assert greeting.pop("timestamp") == client.clock.ms
    assert greeting == {
        "type": "sync_connected",
        "user_id": "u_ann",
        "data": {
            "connection_id": "c1",
            "protocol": codec.subprotocol,
            "server_time": client.clock.ms,
            "resumed": True,
            "position": 9,
            "limits": {
                "message_bytes_max": 4096,
                "in_flight_commands_max": 64,
                "messages_per_s": 2000.0,
                "messages_burst": 4000,
            },
        },
        "seq": None,
    }
    assert client.connection.state is State.LIVE

    assert client.says(spin()) == []
    assert client.submitted == [("1", "spin_slots", {"stake": 5, "machine": "classic"})]
    client.connection.answered("1", Result(0, raw({"gold_balance": 5})))
    assert client.sent[-1] == {"type": "result", "id": "1", "data": {"gold_balance": 5}}
    client.says(spin("2"))
    client.connection.answered("2", Failure(0, "insufficient_gold", "no", False))
    error = {"code": "insufficient_gold", "message": "no", "retryable": False}
    assert client.sent[-1] == {"type": "error", "id": "2", "data": error}
    assert client.connection.in_flight == 0


def test_commands_may_follow_before_the_attach_is_answered() -> None:
    client = Client()
    client.authenticate()
    client.says(spin())
    assert client.submitted


def test_it_is_greeted_once() -> None:
    client = live()
    client.connection.detached()
    assert client.connection.state is State.ATTACHING
    client.connection.attached(True, 3)
    assert client.connection.state is State.LIVE
    assert client.sent == []


def test_after_closing_nothing_happens() -> None:
    client = live()
    client.says(spin())
    client.connection.close(1012, "service restart")
    client.connection.close(1008, "again")
    client.connection.answered("1", Result(0, raw({})))
    client.connection.deliver(b"")
    client.connection.attached(False, 0)
    client.connection.detached()
    client.connection.attach_failed(Failure(0, "unavailable", "", True))
    client.connection.check_deadline(1e9)
    assert client.says(spin("2")) == []
    assert client.closed == (1012, "service restart")
    assert len(client.submitted) == 1


@pytest.mark.parametrize(("retryable", "code"), [(True, 1013), (False, 1011)])
def test_a_session_out_of_reach(retryable: bool, code: int) -> None:
    client = Client()
    client.authenticate()
    client.connection.attach_failed(Failure(0, "unavailable", "", retryable))
    assert client.closed is not None
    assert client.closed[0] == code


# Authentication


def test_a_command_before_authenticate() -> None:
    client = Client()
    assert client.gets_error(spin()) == ("1", "not_authenticated")
    assert client.closed == (4401, "not_authenticated")
    assert client.submitted == []


@pytest.mark.parametrize("state", ["expired", "forged"])
def test_a_bad_token(state: str) -> None:
    client = Client()
    token = client.tokens.issue("u_ann").token
    if state == "expired":
        client.clock.ms += 4_000_000
    else:
        token = token[:-3] + "AAA"
    code = {"expired": "token_expired", "forged": "token_invalid"}[state]
    message = {"type": "authenticate", "id": "a", "data": {"token": token}}
    assert client.gets_error(message) == ("a", code)
    assert client.closed == (4401, code)
    assert client.subscribed == []


@pytest.mark.parametrize(
    ("because", "code", "close"),
    [
        ("ban", "banned", (4403, "banned")),
        ("password", "token_revoked", (4401, "token_revoked")),
        ("erased", "token_revoked", (4401, "token_revoked")),
    ],
)
@pytest.mark.parametrize("when", ["before", "attaching", "live"])
def test_a_voided_token(because: str, code: str, close: tuple[int, str], when: str) -> None:
    client = Client()
    verdict = Verdict(client.clock.ms // 1000 + 1, because)
    if when == "before":
        client.tokens.revocations.add("u_ann", verdict)
        token = client.tokens.issue("u_ann").token
        message = {"type": "authenticate", "id": "a", "data": {"token": token}}
        assert client.gets_error(message) == ("a", code)
        assert client.subscribed == []
    else:
        client.authenticate()
        if when == "live":
            client.connection.attached(False, 0)
        client.connection.signed_out({"u_bob": verdict})
        client.connection.signed_out({"u_ann": Verdict(client.clock.ms // 1000, because)})
        assert client.closed is None, "somebody else's, and one from before this token was made"
        client.connection.signed_out({"u_ann": verdict})
        client.connection.signed_out({"u_ann": verdict})
    assert client.closed == close
    assert client.says(spin()) == []
    assert client.submitted == []


def test_a_voided_token_is_nothing_to_whoever_has_shown_none() -> None:
    client = Client()
    client.connection.signed_out({"u_ann": Verdict(client.clock.ms // 1000 + 1, "ban")})
    assert client.closed is None
    client.authenticate()
    assert client.closed is None, "a token that was good when it was shown"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"token": 5},
        {"token": ""},
        {"token": "x" * 2049},
        {"token": "x", "resume_from": -1},
        {"token": "x", "resume_from": True},
        {"token": "x", "resume_from": 1.0},
        {"token": "x", "resume_from": 2**63},
        {"token": "x", "more": 1},
        [],
    ],
)
def test_authenticate_with_bad_data(data: Any) -> None:
    client = Client()
    assert client.gets_error({"type": "authenticate", "id": "a", "data": data}) == ("a", "invalid_data")
    assert client.closed is None, "it may try again, within the deadline"


def test_authentication_deadline() -> None:
    client = Client(Limits(authentication_deadline_s=10))
    client.connection.check_deadline(client.clock.seconds + 9.9)
    assert client.closed is None
    client.connection.check_deadline(client.clock.seconds + 10)
    assert client.closed == (4408, "authentication timeout")


# The end of a token, and the next one

ACCEPTED = {"type": "result", "id": "n", "data": {"user_id": "u_ann"}}


def shows(token: str) -> dict[str, Any]:
    return {"type": "authenticate", "id": "n", "data": {"token": token}}


def test_a_connection_ends_a_little_after_its_token() -> None:
    client = live(Limits(token_grace_s=60))
    client.passes(900 + 59)
    assert client.closed is None
    assert client.says(spin()) == []
    client.passes(1)
    assert client.closed == (4401, "token_expired")
    assert client.says(spin("2")) == []
    assert len(client.submitted) == 1


def test_it_ends_while_its_session_is_out_of_reach_too() -> None:
    client = Client()
    client.authenticate()
    client.passes(960)
    assert client.closed == (4401, "token_expired")


def test_a_newer_token_extends_it() -> None:
    client = live(Limits(token_grace_s=60))
    for _ in range(4):
        client.passes(950)
        assert client.says(shows(client.tokens.issue("u_ann").token)) == [ACCEPTED]
        assert client.connection.state is State.LIVE
    assert client.subscribed == [("u_ann", None)], "events go on as they were"
    client.passes(959)
    assert client.closed is None
    client.passes(1)
    assert client.closed == (4401, "token_expired")


def test_it_lasts_as_long_as_the_last_token() -> None:
    client = live(Limits(token_grace_s=60))
    assert client.says(shows(client.tokens.issue("u_ann", lifetime_s=30).token)) == [ACCEPTED]
    client.passes(90)
    assert client.closed == (4401, "token_expired")


@pytest.mark.parametrize("which", ["another's", "expired", "forged", "voided", "none"])
def test_a_token_that_is_refused_changes_nothing(which: str) -> None:
    client = live(Limits(token_grace_s=60, invalid_messages_max=2))
    if which == "voided":
        client.tokens.revocations.add("u_ann", Verdict(client.clock.ms // 1000 + 1, "logout"))
    token = client.tokens.issue("u_bob" if which == "another's" else "u_ann").token
    if which == "expired":
        token = client.tokens.issue("u_ann", issued_s=client.clock.ms // 1000 - 1000).token
    code = {
        "another's": "already_authenticated",
        "expired": "token_expired",
        "forged": "token_invalid",
        "voided": "token_revoked",
        "none": "invalid_data",
    }[which]
    token = {"forged": token[:-3] + "AAA", "none": ""}.get(which, token)
    assert client.gets_error(shows(token)) == ("n", code)
    assert (client.closed, client.connection.user_id) == (None, "u_ann")
    assert client.says(spin()) == []
    assert client.submitted
    client.passes(960)
    assert client.closed == (4401, "token_expired")


def test_guessing_tokens_ends() -> None:
    client = live(Limits(invalid_messages_max=3))
    for _ in range(3):
        client.says(shows("x"))
    assert client.closed == (1008, "too many invalid messages")


def test_only_the_token_that_it_rests_on_can_be_voided() -> None:
    client = live()
    before = Verdict(client.clock.ms // 1000 + 10, "logout")
    client.passes(20)
    client.says(shows(client.tokens.issue("u_ann").token))
    client.connection.signed_out({"u_ann": before})
    assert client.closed is None
    client.connection.signed_out({"u_ann": Verdict(client.clock.ms // 1000 + 1, "logout")})
    assert client.closed == (4401, "token_revoked")


# Topics


def subscribe(topic: Any = "crash/main", command_id: str = "t", kind: str = "subscribe") -> dict[str, Any]:
    return {"type": kind, "id": command_id, "data": {"topic": topic}}


def unsubscribe(topic: Any = "crash/main") -> dict[str, Any]:
    return subscribe(topic, kind="unsubscribe")


@pytest.mark.parametrize("codec", [MESSAGEPACK, JSON])
def test_subscribe_and_unsubscribe(codec: Codec) -> None:
    client = live(codec=codec)
    accepted = [{"type": "result", "id": "t", "data": {"topic": "crash/main"}}]
    assert client.says(subscribe()) == accepted
    assert client.topics == [("join", "crash/main")]
    assert client.says(unsubscribe()) == accepted
    assert client.topics[1:] == [("leave", "crash/main")]
    assert client.submitted == [], "no actor hears of it"
    assert client.counters.results_sent == 2


def test_subscribing_needs_no_attached_session() -> None:
    client = Client()
    client.authenticate()
    client.says(subscribe())
    assert client.topics == [("join", "crash/main")]


def test_subscribing_needs_a_user() -> None:
    client = Client()
    assert client.gets_error(subscribe()) == ("t", "not_authenticated")
    assert client.closed == (4401, "not_authenticated")
    assert client.topics == []


def test_subscribing_twice_joins_anew() -> None:
    client = live(Limits(topics_per_connection_max=1))
    client.says(subscribe())
    client.says(subscribe())
    assert client.topics == [("join", "crash/main")] * 2


def test_leaving_what_was_not_joined() -> None:
    client = live()
    (answer,) = client.says(unsubscribe())
    assert answer["type"] == "result"
    assert client.topics == []


@pytest.mark.parametrize("topic", ["crash/nowhere", "session/u_ann", "crash", "x" * 128])
@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_unknown_topics(topic: str, kind: str) -> None:
    client = live(Limits(invalid_messages_max=1))
    assert client.gets_error(subscribe(topic, kind=kind)) == ("t", "unknown_topic")
    assert (client.topics, client.closed) == ([], None)


@pytest.mark.parametrize("topic", [None, 5, "", "x" * 129, ["crash/main"]])
@pytest.mark.parametrize("codec", [MESSAGEPACK, JSON])
def test_topics_that_are_no_names(topic: Any, codec: Codec) -> None:
    client = live(codec=codec)
    assert client.gets_error(subscribe(topic)) == ("t", "invalid_data")
    assert client.gets_error({**subscribe(), "data": {}}) == ("t", "invalid_data")
    assert client.gets_error({**subscribe(), "data": {"topic": "crash/main", "x": 1}}) == (
        "t",
        "invalid_data",
    )
    assert client.topics == []


def test_topics_per_connection() -> None:
    client = live(Limits(topics_per_connection_max=1))
    client.says(subscribe("crash/main"))
    assert client.gets_error(subscribe("crash/high")) == ("t", "too_many_topics")
    client.says(unsubscribe("crash/main"))
    client.says(subscribe("crash/high"))
    assert client.topics == [("join", "crash/main"), ("leave", "crash/main"), ("join", "crash/high")]


def test_subscribing_counts_against_the_rate() -> None:
    client = live(Limits(messages_per_s=10, messages_burst=4))
    client.clock.seconds += 10
    for _ in range(4):
        client.says(subscribe())
    assert client.gets_error(subscribe()) == ("t", "rate_limited")
    assert len(client.topics) == 4


def test_after_closing_nothing_is_joined() -> None:
    client = live()
    client.connection.close(1012, "service restart")
    assert client.says(subscribe()) == []
    assert client.topics == []


# Messages that are none

UNREADABLE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\xc1", id="not MessagePack"),
    pytest.param(b"\x83", id="truncated"),
    pytest.param(pack([1, 2]), id="array"),
    pytest.param(pack({"type": "spin_slots"}), id="only a type"),
    pytest.param(pack({"id": 5, "type": "spin_slots", "data": {}}), id="id a number"),
    pytest.param(pack({"id": "", "type": 5, "data": {}}), id="empty id, type a number"),
    pytest.param(b"\x91" * 4000 + b"\xc0", id="nested"),
    pytest.param(b"\x83\xa4type\xa1x\xa2id\xa1x\xa4data" + b"\x91" * 100_000 + b"\xc0", id="nested data"),
    pytest.param(b"\x83\xa4type\xa2\xff\xff\xa2id\xa1x\xa4data\x80", id="type not UTF-8"),
    pytest.param(b"\xdf\xff\xff\xff\xff", id="claims four billion entries"),
]


@pytest.mark.parametrize("payload", UNREADABLE)
def test_unreadable(payload: bytes) -> None:
    client = live()
    assert client.gets_error(payload) == (None, "invalid_message")


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[1]", b"nonsense", b'{"type":1}', b'"\\ud800"', b"[" * 4000, b"\xff"]
)
def test_unreadable_json(payload: bytes) -> None:
    client = live(codec=JSON)
    assert client.gets_error(payload) == (None, "invalid_message")


def test_the_id_is_told_when_it_can_be_read() -> None:
    client = live()
    assert client.gets_error({"type": 5, "id": "mine", "data": {}}) == ("mine", "invalid_message")
    assert client.gets_error({"type": "spin_slots", "id": "mine"}) == ("mine", "invalid_message")


@pytest.mark.parametrize("command_id", ["", "x" * 65, "a\nb", "\x00", "\u202e", "a\u200b"])
def test_invalid_ids(command_id: str) -> None:
    client = live()
    assert client.gets_error(spin(command_id)) == (None, "invalid_id")
    assert client.submitted == []


@pytest.mark.parametrize("command_id", ["x", "x" * 64, "é" * 64, "with space", "🎰"])
def test_valid_ids(command_id: str) -> None:
    client = live()
    client.says(spin(command_id))
    assert client.submitted[0][0] == command_id


@pytest.mark.parametrize("name", ["open_session", "nothing", "", "x" * 3000])
def test_unknown_and_system_commands(name: str) -> None:
    client = live()
    message = {"type": name, "id": "1", "data": {"stake": 1}}
    assert client.gets_error(message) == ("1", "unknown_command")


@pytest.mark.parametrize("stake", [True, 5.0, float("nan"), "5", None, 0, [1], {}])
def test_invalid_data(stake: Any) -> None:
    client = live()
    assert client.gets_error(spin(stake=stake)) == ("1", "invalid_data")
    assert client.sent[-1]["data"]["message"]
    assert client.submitted == []


def test_invalid_message_budget() -> None:
    client = live(Limits(invalid_messages_max=3))
    for _ in range(3):
        client.says(b"\xc1")
    assert client.closed == (1008, "too many invalid messages")
    assert client.says(b"\xc1") == []


def test_refusals_by_the_actor_do_not_count_as_invalid() -> None:
    client = live(Limits(invalid_messages_max=1))
    for number in range(100):
        client.says(spin(str(number)))
        client.connection.answered(str(number), Failure(0, "insufficient_gold", "", False))
    assert client.closed is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([MESSAGEPACK, JSON]))
def test_noise_gets_an_error_and_nothing_else(noise: bytes, codec: Codec) -> None:
    client = live(codec=codec)
    (answer,) = client.says(noise)
    assert answer["type"] == "error"
    assert client.submitted == []


# Limits


def test_in_flight_depth() -> None:
    client = live(Limits(in_flight_commands_max=2))
    client.says(spin("1"))
    client.says(spin("1"))  # The same id again is the host's business.
    assert client.gets_error(spin("3")) == ("3", "too_many_in_flight")
    client.connection.answered("1", Result(0, raw({})))
    client.says(spin("3"))
    assert [command_id for command_id, _, _ in client.submitted] == ["1", "1", "3"]
    assert client.closed is None


def test_rate_and_burst() -> None:
    client = live(Limits(messages_per_s=10, messages_burst=4, in_flight_commands_max=1000))
    client.clock.seconds += 10
    ids = (str(number) for number in itertools.count())
    for _ in range(4):
        assert client.says(spin(next(ids))) == []
    assert client.gets_error(spin("late")) == ("late", "rate_limited")
    client.clock.seconds += 0.2
    assert client.says(spin(next(ids))) == []
    assert client.closed is None


def test_sustained_flood() -> None:
    client = live(Limits(messages_per_s=10, messages_burst=4, in_flight_commands_max=1000))
    for number in range(4 + 4 + 2):
        client.says(spin(str(number)))
    assert client.closed == (1008, "sustained flood")


def test_a_flood_of_noise_and_of_pings() -> None:
    for noise in (b"\xc1", pack(spin("")), None):
        client = live(Limits(messages_per_s=10, messages_burst=4, invalid_messages_max=1000))
        for _ in range(20):
            if noise is None:
                client.connection.charge(client.clock.seconds)
            else:
                client.connection.receive(noise, client.clock.seconds)
            if client.closed:
                break
        assert client.closed == (1008, "sustained flood")


def test_staying_within_the_rate_is_never_punished() -> None:
    client = live(Limits(messages_per_s=10, messages_burst=4, in_flight_commands_max=10_000))
    for number in range(1000):
        client.clock.seconds += 0.1
        assert client.says(spin(str(number))) == []
    assert client.closed is None


def test_counters() -> None:
    client = live()
    client.says(spin())
    client.connection.answered("1", Result(0, raw({})))
    client.says(b"\xc1")
    assert client.counters.commands_submitted == 1
    assert client.counters.results_sent == 1
    assert client.counters.errors_sent == {"invalid_message": 1}
