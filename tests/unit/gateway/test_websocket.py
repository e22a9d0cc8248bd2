"""The socket shell, end to end: a real uvicorn, a real socket, the ``websockets`` client."""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from gateway.fanout import session_of
from gateway.limits import Limits
from runtime.stream import Failure
from tests.unit.gateway.conftest import Serve
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fakes import (
    MAIN,
    TABLES,
    FakeClock,
    Gateway,
    closing_of,
    hear,
    messages_in,
    pack,
    say,
)

ANN = session_of("u_ann")
JSON = "casino.v1.json"


def upgrade(path: str = "/api/realtime/sync", extra: str = "", **changes: str | None) -> bytes:
    headers: dict[str, str | None] = {
        "Host": "x",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "casino.v1.msgpack",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines]).encode() + b"\r\n" + extra.encode() + b"\r\n"


async def raw_connection(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", gateway.server.port)


async def status_of(gateway: Gateway, request: bytes) -> int:
    reader, writer = await raw_connection(gateway)
    writer.write(request)
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


# The conversation


@pytest.mark.parametrize("subprotocol", ["casino.v1.msgpack", JSON])
async def test_a_conversation(serve: Serve, subprotocol: str) -> None:
    gateway = await serve()
    async with gateway.connect(subprotocol) as socket:
        result, greeting, state = await gateway.authenticate(socket)
        assert result == {"type": "result", "id": "auth", "data": {"user_id": "u_ann"}}
        assert greeting["type"] == "sync_connected"
        assert greeting["data"]["protocol"] == subprotocol
        assert (state["type"], state["seq"]) == ("initial_state", 0)

        await say(socket, "spin_slots", "s1", stake=5)
        events = [await hear(socket) for _ in range(3)]
        assert [event["seq"] for event in events] == [1, 2, 3]
        assert await hear(socket) == {"type": "result", "id": "s1", "data": {"gold_balance": 3}}

        await say(socket, "spin_slots", "refuse-1", stake=5)
        assert (await hear(socket))["data"]["code"] == "insufficient_gold"
    assert gateway.router.submitted[0] == (ANN, "s1", "spin_slots", pack({"stake": 5, "machine": "classic"}))
    await asyncio.sleep(0.05)
    assert gateway.router.attached == set(), "the last connection detaches"
    counters = gateway.server.counters
    assert counters.connections_open == 0
    assert counters.commands_done == {"spin_slots": 1}
    assert counters.commands_failed == {("spin_slots", "insufficient_gold"): 1}
    assert sum(counters.command_seconds.counts) == 2


async def test_several_devices(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as one, gateway.connect(JSON) as two, gateway.connect() as other:
        for socket, user in ((one, "u_ann"), (two, "u_ann"), (other, "u_bob")):
            await gateway.authenticate(socket, user)
        await say(one, "spin_slots", "s1", stake=5)
        at_one = [await hear(one) for _ in range(4)]
        at_two = [await hear(two) for _ in range(3)]
        assert at_one[:3] == at_two
        gateway.router.push(ANN, "profile_update")
        assert await hear(one) == await hear(two)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.recv(), 0.05)


async def test_resume(serve: Serve) -> None:
    gateway = await serve()
    for _ in range(3):
        gateway.router.push(ANN, "profile_update", "stats_update")
    async with gateway.connect() as socket:
        _, greeting, missed = await gateway.authenticate(socket, resume_from=3)
        assert greeting["data"]["resumed"] is True
        assert greeting["data"]["position"] == 6
        assert [missed["seq"], (await hear(socket))["seq"], (await hear(socket))["seq"]] == [4, 5, 6]
    gateway.router.keeps_turns = 1
    async with gateway.connect() as socket:
        _, greeting, state = await gateway.authenticate(socket, resume_from=1)
        assert greeting["data"]["resumed"] is False
        assert (state["type"], state["seq"]) == ("initial_state", 6)


async def test_an_owner_that_changes_leaves_no_gap(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await gateway.authenticate(socket)
        gateway.router.attached.discard(ANN)
        for _ in range(5):
            gateway.router.push(ANN, "profile_update")
        gateway.router.attach_failures = [Failure(0, "unavailable", "", True)]
        gateway.parts.fanout.lost(ANN)
        assert [(await hear(socket))["seq"] for _ in range(5)] == [1, 2, 3, 4, 5]


async def test_a_session_that_cannot_be_reached(serve: Serve) -> None:
    gateway = await serve(Limits(attach_attempts_max=2, attach_backoff_s=0.01))
    gateway.router.attach_failures = [Failure(0, "unavailable", "", True)] * 2
    async with gateway.connect() as socket:
        token = gateway.parts.tokens.issue("u_ann").token
        await say(socket, "authenticate", "a", token=token)
        assert (await hear(socket))["type"] == "result"
        assert await closing_of(socket) == (1013, "unavailable")


async def test_sockets_of_whoever_is_signed_out_are_closed(serve: Serve) -> None:
    """Whoever did it, and at whichever gateway: all hear of it from the database."""
    accounts = FakeAccounts()
    one, other = await serve(accounts=accounts), await serve(accounts=accounts)
    async with (
        one.connect() as ann,
        other.connect() as ann_elsewhere,
        other.connect() as bob,
        one.connect() as cid,
        one.connect() as stranger,
    ):
        await one.authenticate(ann, "u_ann")
        await other.authenticate(ann_elsewhere, "u_ann")
        await other.authenticate(bob, "u_bob")
        await one.authenticate(cid, "u_cid")
        accounts.void("u_ann", "ban")
        accounts.void("u_cid", "password")
        assert await closing_of(ann) == (4403, "banned")
        assert await closing_of(ann_elsewhere) == (4403, "banned")
        assert await closing_of(cid) == (4401, "token_revoked")
        await say(bob, "spin_slots", "1", stake=5)
        assert (await hear(bob))["type"] == "profile_update"
        before = accounts.clock.now_ms() // 1000 - 5
        token = one.parts.tokens.issue("u_ann", issued_s=before).token
        await say(stranger, "authenticate", "a", token=token)
        assert await closing_of(stranger) == (4403, "banned")


# Topics


async def watch(gateway: Gateway, socket: ClientConnection, user: str = "u_ann") -> None:
    """Authenticate, and subscribe to a table."""
    await gateway.authenticate(socket, user)
    await say(socket, "subscribe", "t1", topic="crash/main")
    assert await hear(socket) == {"type": "result", "id": "t1", "data": {"topic": "crash/main"}}
    view = await hear(socket)
    assert (view["type"], view["user_id"], view["seq"]) == ("crash_state", None, None)


async def test_a_topic(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as one, gateway.connect(JSON) as two:
        await watch(gateway, one, "u_ann")
        await watch(gateway, two, "u_bob")
        gateway.router.push(MAIN, "crash_started")
        gateway.router.tick(MAIN, 100)
        gateway.router.push(MAIN, "crash_crashed", "crash_betting_opened")
        for socket in (one, two):
            events = [await hear(socket) for _ in range(4)]
            types = ["crash_started", "crash_tick", "crash_crashed", "crash_betting_opened"]
            assert [event["type"] for event in events] == types
            assert {(event["user_id"], event["seq"]) for event in events} == {(None, None)}
        await say(one, "spin_slots", "s1", stake=5)
        assert [(await hear(one))["seq"] for _ in range(3)] == [1, 2, 3], "the user's own stream goes on"
        assert (await hear(one))["type"] == "result"
        await say(one, "unsubscribe", "t2", topic="crash/main")
        assert (await hear(one))["data"] == {"topic": "crash/main"}
        gateway.router.push(MAIN, "crash_started")
        assert (await hear(two))["type"] == "crash_started"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.recv(), 0.05)
    assert [actor for actor, _ in gateway.router.attaches].count(MAIN) == 2


async def test_an_unknown_topic_starts_nothing(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await gateway.authenticate(socket)
        await say(socket, "subscribe", "t1", topic="crash/nowhere")
        assert (await hear(socket))["data"]["code"] == "unknown_topic"
    assert {actor for actor, _ in gateway.router.attaches} == {ANN}


async def test_the_last_socket_that_goes_detaches(serve: Serve) -> None:
    gateway = await serve(Limits(topic_linger_s=0.01, close_deadline_s=0.3))
    async with gateway.connect() as socket:
        await watch(gateway, socket)
        assert MAIN in gateway.router.attached
    await asyncio.sleep(0.1)
    assert gateway.router.attached == set()


async def test_subscribing_again_shows_the_table_again(serve: Serve) -> None:
    gateway = await serve(Limits(topic_view_interval_s=0, close_deadline_s=0.3))
    async with gateway.connect() as socket:
        await watch(gateway, socket)
        gateway.router.push(MAIN, "crash_started")
        await hear(socket)
        await say(socket, "subscribe", "t2", topic="crash/main")
        assert (await hear(socket))["id"] == "t2"
        assert (await hear(socket))["data"] == {"gold_balance": 1}
        gateway.router.push(MAIN, "crash_crashed")
        assert (await hear(socket))["type"] == "crash_crashed"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)


class SlowReader:
    """A subscriber that reads nothing until told to, on a connection that holds little."""

    async def __aenter__(self) -> SlowReader:
        self.client = sockets.socket()
        self.client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.client, ("127.0.0.1", self._gateway.server.port))
        await loop.sock_sendall(self.client, upgrade())
        await loop.sock_recv(self.client, 1000)
        token = self._gateway.parts.tokens.issue("u_slow").token
        for kind, data in (("authenticate", {"token": token}), ("subscribe", {"topic": "crash/main"})):
            message = pack({"type": kind, "id": kind, "data": data})
            await loop.sock_sendall(self.client, masked(0x82, message))
        await asyncio.sleep(0.05)
        return self

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def read(self) -> list[Any]:
        """Everything, until nothing more comes."""
        loop = asyncio.get_running_loop()
        data = b""
        while True:
            try:
                data += await asyncio.wait_for(loop.sock_recv(self.client, 65536), 0.3)
            except TimeoutError:
                return messages_in(data)


async def test_a_slow_reader_misses_ticks_and_nothing_else(serve: Serve) -> None:
    gateway = await serve(Limits(kernel_unsent_bytes_max=4096, close_deadline_s=0.3))
    async with SlowReader(gateway) as slow:
        (socket,) = gateway.server._hub.sockets
        for number in range(20_000):
            gateway.router.tick(MAIN, number)
            if number % 100 == 99:
                gateway.router.push(MAIN, "crash_bets_placed")
            if number % 10 == 0:
                await asyncio.sleep(0)
        transport = socket._transport  # type: ignore[attr-defined]
        assert gateway.server.counters.topic_ticks_replaced > 10_000
        assert 0 < transport.get_write_buffer_size() < 200 * 120, "events and no ticks"
        events = await slow.read()
        placed = [event["data"]["gold_balance"] for event in events if event["type"] == "crash_bets_placed"]
        assert placed == list(range(1, 201)), "every event, in order"
        ticks = [event["data"]["elapsed_ms"] for event in events if event["type"] == "crash_tick"]
        assert ticks == sorted(set(ticks))
        assert len(ticks) < 10_000
        assert transport.get_write_buffer_size() == 0
        gateway.router.tick(MAIN, 77)
        assert [event["data"] for event in await slow.read()] == [{"elapsed_ms": 77}], "it has caught up"
    assert gateway.server.counters.closes_sent == {}


async def test_a_slow_reader_that_joins_another_topic_is_slow_there_too(serve: Serve) -> None:
    gateway = await serve(Limits(kernel_unsent_bytes_max=4096, close_deadline_s=0.3))
    high = TABLES["crash/high"]
    async with SlowReader(gateway) as slow:
        (socket,) = gateway.server._hub.sockets
        transport = socket._transport  # type: ignore[attr-defined]
        while transport.get_write_buffer_size() < 50_000:
            gateway.router.push(MAIN, *["crash_bets_placed"] * 100)
            await asyncio.sleep(0)
        socket.join_topic("crash/high")  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        unsent = transport.get_write_buffer_size()
        for number in range(100):
            gateway.router.tick(high, number)
            await asyncio.sleep(0)
        assert transport.get_write_buffer_size() == unsent
        ticks = [event["data"] for event in await slow.read() if event["type"] == "crash_tick"]
        assert ticks == [{"elapsed_ms": 99}]


async def test_a_slow_reader_gets_the_newest_tick_when_it_has_read_the_rest(serve: Serve) -> None:
    gateway = await serve(Limits(kernel_unsent_bytes_max=4096, close_deadline_s=0.3))
    async with SlowReader(gateway) as slow:
        for number in range(20_000):
            gateway.router.tick(MAIN, number)
            if number % 10 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        ticks = [event["data"]["elapsed_ms"] for event in await slow.read() if event["type"] == "crash_tick"]
        assert ticks == sorted(set(ticks))
        assert ticks[-1] == 19_999
        assert len(ticks) < 10_000


async def test_a_subscriber_that_never_reads_is_cut_off(serve: Serve) -> None:
    limits = Limits(outgoing_bytes_max=20_000, sweep_interval_s=0.02, close_deadline_s=0.2)
    gateway = await serve(limits)
    async with SlowReader(gateway), gateway.connect() as quick:
        await watch(gateway, quick)
        pushed = 0
        while not gateway.server.counters.closes_sent and pushed < 20_000:
            gateway.router.push(MAIN, *["crash_bets_placed"] * 10)
            pushed += 10
            await asyncio.sleep(0)
        assert gateway.server.counters.closes_sent == {4413: 1}
        for number in range(pushed):
            assert (await hear(quick))["data"]["gold_balance"] == number + 1


async def test_a_socket_that_breaks_is_not_written_to(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as one, gateway.connect() as two:
        await watch(gateway, one)
        await watch(gateway, two, "u_bob")
        one.transport.abort()
        for _ in range(20):
            gateway.router.push(MAIN, "crash_bets_placed")
            await asyncio.sleep(0.005)
        assert [(await hear(two))["data"]["gold_balance"] for _ in range(20)] == list(range(1, 21))
    assert gateway.server.counters.connections_open <= 1


# The handshake


async def test_no_extensions_are_agreed(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect(compression="deflate") as socket:
        assert socket.protocol.extensions == []
        assert len(await gateway.authenticate(socket)) == 3


async def test_origins(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect(origin="https://casino.example") as socket:
        assert socket.subprotocol == "casino.v1.msgpack"
    for origin in ("https://evil.example", "https://casino.example.evil", "null", "http://casino.example"):
        with pytest.raises(InvalidStatus) as caught:
            await gateway.connect(origin=origin)
        assert caught.value.response.status_code == 403
    assert gateway.server.counters.handshakes_refused == 4


async def test_refused_handshakes(serve: Serve) -> None:
    gateway = await serve()
    ask: Any = lambda *args, **changes: status_of(gateway, upgrade(*args, **changes))  # noqa: E731
    assert await ask() == 101
    assert await ask("/api/realtime/sync?x=1") == 101
    assert await ask("/elsewhere") == 404
    assert await ask("/api/realtime/sync/") == 404
    assert await ask(Sec_WebSocket_Protocol=None) == 400
    assert await ask(Sec_WebSocket_Protocol="chat, casino.v2.msgpack") == 400
    assert await ask(Sec_WebSocket_Protocol="chat, casino.v1.json") == 101
    assert await ask(Sec_WebSocket_Version="12") == 400
    assert await ask(Sec_WebSocket_Key="short") == 400
    assert await ask(Sec_WebSocket_Key=None) == 400
    assert await ask(extra="".join(f"x-{number}: 1\r\n" for number in range(200))) == 400
    post = upgrade().replace(b"GET", b"POST")
    assert await status_of(gateway, post) in (400, 405)


async def test_connections_are_bounded(serve: Serve) -> None:
    gateway = await serve(Limits(connections_max=2, close_deadline_s=0.3))
    async with gateway.connect(), gateway.connect():
        with pytest.raises(InvalidStatus) as caught:
            await gateway.connect()
        assert caught.value.response.status_code == 503


# Bad frames and limits


def masked(first: int, payload: bytes) -> bytes:
    length = len(payload)
    head = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
    return bytes((first,)) + head + bytes(4) + payload


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x82\x01x", 1002),
        (masked(0xC2, b"x"), 1002),
        (masked(0x81, b"x"), 1003),
        (b"\x82\xfe\x10\x01", 1009),
        (masked(0x89, b"x" * 126), 1002),
    ],
)
async def test_violations_close(serve: Serve, frames: bytes, code: int) -> None:
    gateway = await serve()
    reader, writer = await raw_connection(gateway)
    writer.write(upgrade())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(frames)
    async with asyncio.timeout(5):
        head = await reader.readexactly(4)
        assert (head[0], int.from_bytes(head[2:4], "big")) == (0x88, code)
        # It does not hang on to a peer that never answers the close.
        await reader.read()
    writer.close()
    assert gateway.server.counters.closes_sent == {code: 1}


async def test_oversize_is_refused_by_its_header(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await gateway.authenticate(socket)
        await socket.send(b"x" * 4097)
        assert (await closing_of(socket))[0] == 1009


async def test_text_on_the_binary_subprotocol(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await socket.send("{}")
        assert (await closing_of(socket))[0] == 1003


async def test_fragments_and_pings(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await gateway.authenticate(socket)
        message = pack({"type": "spin_slots", "id": "s1", "data": {"stake": 5}})
        await socket.send([message[:5], message[5:9], message[9:]])
        assert [(await hear(socket))["type"] for _ in range(4)][-1] == "result"
        async with asyncio.timeout(5):
            await (await socket.ping(b"are you there"))


async def test_the_client_closes(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await gateway.authenticate(socket)
        await socket.close(3999, "enough")
        assert socket.close_code == 3999
    assert gateway.server.counters.closes_sent == {}


async def test_expired_token(serve: Serve) -> None:
    gateway = await serve()
    async with gateway.connect() as socket:
        await say(socket, "authenticate", "a", token="nonsense")
        assert (await hear(socket))["data"]["code"] == "token_invalid"
        assert await closing_of(socket) == (4401, "token_invalid")


async def test_flood(serve: Serve) -> None:
    gateway = await serve(Limits(messages_per_s=1, messages_burst=10, close_deadline_s=0.3))
    async with gateway.connect() as socket:
        await gateway.authenticate(socket)
        for number in range(30):
            await say(socket, "spin_slots", str(number), stake=5)
        assert await closing_of(socket) == (1008, "sustained flood")
    assert len(gateway.router.submitted) < 10


async def test_authentication_deadline(serve: Serve) -> None:
    limits = Limits(authentication_deadline_s=0.1, sweep_interval_s=0.02, close_deadline_s=0.2)
    gateway = await serve(limits)
    async with gateway.connect() as socket:
        assert await closing_of(socket) == (4408, "authentication timeout")


async def test_half_open(serve: Serve) -> None:
    limits = Limits(ping_interval_s=0.1, pong_deadline_s=0.1, sweep_interval_s=0.02, close_deadline_s=0.1)
    gateway = await serve(limits)
    async with gateway.connect() as alive:
        await gateway.authenticate(alive)
        reader, writer = await raw_connection(gateway)
        writer.write(upgrade())
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readexactly(2) == b"\x89\x00"
            answer = await reader.read()
        assert answer[:1] == b"\x88"
        assert int.from_bytes(answer[2:4], "big") == 4408
        writer.close()
        await asyncio.sleep(0.3)
        await say(alive, "spin_slots", "s1", stake=5)
        assert (await hear(alive))["seq"] == 1


async def test_a_client_that_never_reads(serve: Serve) -> None:
    limits = Limits(outgoing_bytes_max=200_000, sweep_interval_s=0.02, close_deadline_s=0.2)
    gateway = await serve(limits)
    client = sockets.socket()
    client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", gateway.server.port))
    await loop.sock_sendall(client, upgrade())
    await loop.sock_recv(client, 1000)
    token = gateway.parts.tokens.issue("u_ann").token
    hello = pack({"type": "authenticate", "id": "a", "data": {"token": token}})
    await loop.sock_sendall(client, masked(0x82, hello))
    await asyncio.sleep(0.05)
    (socket,) = gateway.server._hub.sockets
    most = 0
    for _ in range(20_000):
        if gateway.server.counters.closes_sent:
            break
        gateway.router.push(ANN, *["profile_update"] * 20)
        await asyncio.sleep(0)
        most = max(most, socket._transport.get_write_buffer_size())  # type: ignore[attr-defined]
    assert gateway.server.counters.closes_sent == {4413: 1}
    assert most < 200_000 + 10_000
    for _ in range(100):
        if not gateway.server.counters.connections_open:
            break
        await asyncio.sleep(0.02)
    assert gateway.server.counters.connections_open == 0
    assert gateway.router.attached == set()
    client.close()


async def test_many_messages_leave_in_one_write(serve: Serve) -> None:
    gateway = await serve()
    reader, writer = await raw_connection(gateway)
    writer.write(upgrade())
    await reader.readuntil(b"\r\n\r\n")
    token = gateway.parts.tokens.issue("u_ann").token
    hello = pack({"type": "authenticate", "id": "a", "data": {"token": token}})
    spins = [pack({"type": "spin_slots", "id": str(n), "data": {"stake": 5}}) for n in range(20)]
    (socket,) = gateway.server._hub.sockets
    writes: list[int] = []
    transport = socket._transport  # type: ignore[attr-defined]

    class Counting:
        def write(self, data: bytes) -> None:
            writes.append(len(messages_in(data)))
            transport.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(transport, name)

    socket._transport = Counting()  # type: ignore[attr-defined]
    writer.write(masked(0x82, hello) + b"".join(masked(0x82, spin) for spin in spins))
    await asyncio.sleep(0.2)
    assert sum(writes) >= 3 + 20
    assert len(writes) <= 4
    writer.close()


# The end


async def test_drain_lets_commands_finish_and_sends_clients_away(serve: Serve) -> None:
    gateway = await serve(Limits(drain_grace_s=2, close_deadline_s=0.5))
    async with gateway.connect() as busy, gateway.connect() as idle:
        await gateway.authenticate(busy)
        await gateway.authenticate(idle, "u_bob")
        gateway.router.is_silent = True
        await say(busy, "spin_slots", "s1", stake=5)
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(gateway.server.drain())
        assert await closing_of(idle) == (1012, "service restart")
        for answer in gateway.router.waiting:
            answer()
        assert [(await hear(busy))["type"] for _ in range(4)][-1] == "result"
        assert await closing_of(busy) == (1012, "service restart")
        await draining
    with pytest.raises(OSError, match=r"refused|Connect"):
        await gateway.connect()


async def test_drain_does_not_wait_for_ever(serve: Serve) -> None:
    gateway = await serve(Limits(drain_grace_s=0.1, close_deadline_s=0.1))
    async with gateway.connect() as busy:
        await gateway.authenticate(busy)
        gateway.router.is_silent = True
        await say(busy, "spin_slots", "s1", stake=5)
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            await gateway.server.stop()
        assert await closing_of(busy) == (1012, "service restart")


async def test_a_socket_outlives_its_token_only_by_showing_the_next(serve: Serve) -> None:
    clock = FakeClock()
    gateway = await serve(clock=clock)

    def pass_s(seconds: int) -> None:
        clock.ms += 1000 * seconds
        clock.seconds += seconds

    async with gateway.connect() as kept, gateway.connect() as left:
        for socket in (kept, left):
            await gateway.authenticate(socket)
        pass_s(890)
        await say(kept, "authenticate", "next", token=gateway.parts.tokens.issue("u_ann").token)
        assert (await hear(kept))["type"] == "result"
        for socket in (kept, left):
            # A word in between, so that the silence is not what ends it.
            pass_s(35)
            await say(socket, "spin_slots", f"s{socket.id}", stake=1)
        assert await closing_of(left) == (4401, "token_expired")
        await say(kept, "spin_slots", "again", stake=1)
        while (await hear(kept)).get("id") != "again":
            pass
