"""The client against a server that misbehaves on cue."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from clients import (
    AuthenticationFailed,
    Backoff,
    CasinoClient,
    ClientClosed,
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
    ProtocolViolation,
    token_keeper,
)
from clients.sign_in import Account
from tests.unit.benchmarks.fake_casino import FakeCasino

MSGPACK = Subprotocol("casino.v1.msgpack")
Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection, number: int) -> None:
        self.socket = socket
        self.number = number
        self.resume_from: int | None = None
        self.token = ""

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = msgpack.unpackb(await self.socket.recv())
        return message

    async def send(self, **message: Any) -> None:
        await self.socket.send(msgpack.packb(message))

    async def event(self, seq: int | None, kind: str = "profile_update", **data: Any) -> None:
        await self.send(type=kind, user_id="u_1", data=data, timestamp=1, seq=seq)

    async def result(self, command: dict[str, Any], **data: Any) -> None:
        await self.send(type="result", id=command["id"], data=data)

    async def error(self, command: dict[str, Any], code: str, retryable: bool) -> None:
        data = {"code": code, "message": code, "retryable": retryable}
        await self.send(type="error", id=command["id"], data=data)

    async def welcome(self, seq: int = 1) -> None:
        """Authenticate, then the state, or nothing when it is a resume."""
        first = await self.receive()
        assert first["type"] == "authenticate"
        self.token, self.resume_from = first["data"]["token"], first["data"].get("resume_from")
        await self.result(first, user_id="u_1")
        await self.event(None, "sync_connected", resumed=self.resume_from is not None)
        if self.resume_from is None:
            await self.event(seq, "initial_state", gold_balance=100, level=1, exp=0)

    def abort(self) -> None:
        self.socket.transport.abort()


class Casino:
    """Runs ``handler`` for each connection; ``peers`` are all that ever were."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.peers: list[Peer] = []
        self.failures: list[Exception] = []

    async def serve(self, connection: ServerConnection) -> None:
        peer = Peer(connection, len(self.peers))
        self.peers.append(peer)
        try:
            await self.handler(peer)
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        except Exception as error:
            self.failures.append(error)


@contextlib.asynccontextmanager
async def casino(handler: Handler, **options: Any) -> AsyncIterator[tuple[str, Casino]]:
    house = Casino(handler)
    options = {"subprotocols": [MSGPACK], "compression": None, **options}
    async with serve(house.serve, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", house
    assert house.failures == []


def client_of(url: str, **options: Any) -> CasinoClient:
    options.setdefault("backoff", Backoff(base_s=0.001, ceiling_s=0.02))
    if "token_provider" not in options:
        options.setdefault("token", "T")
    return CasinoClient.connect(url, **options)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


async def echo(peer: Peer) -> None:
    """A server without a fault."""
    await peer.welcome()
    seq = peer.resume_from or 1
    while True:
        command = await peer.receive()
        seq += 1
        await peer.event(seq, changes={"gold_balance": 100 - seq})
        await peer.result(command, name=command["type"], data=command["data"], gold_balance=100 - seq)


async def test_commands_results_events_and_state() -> None:
    async with casino(echo) as (url, house), client_of(url) as client:
        assert client.state.gold_balance == 100
        stream = client.events()
        result = await client.spin_slots(stake=10, machine="classic")
        assert (result["name"], result["data"]) == ("spin_slots", {"stake": 10, "machine": "classic"})
        assert client.state.gold_balance == result["gold_balance"] == 98
        assert (await anext(stream)).data == {"changes": {"gold_balance": 98}}
        assert (await client.claim_streak())["data"] == {}
        assert (await client.spin_slots(5))["data"] == {"stake": 5}
        assert (await client.get_profile())["name"] == "get_profile"
        assert (await client.send_gift("u_2", 3))["data"] == {"to_user": "u_2", "amount": 3}
        assert (await client.set_client_seed("x"))["data"] == {"client_seed": "x"}
        assert (await client.rotate_server_seed())["name"] == "rotate_server_seed"
        assert house.peers[0].token == "T"
        assert client.connected
    with pytest.raises(ClientClosed):
        await client.spin_slots(1)


async def test_a_command_survives_a_connection_that_dies_under_it() -> None:
    seen: list[dict[str, Any]] = []

    async def dies_once(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.receive()
        seen.append(command)
        if peer.number == 0:
            peer.abort()
            return
        await peer.result(command, gold_balance=1)

    async with casino(dies_once) as (url, house), client_of(url) as client:
        assert await client.spin_slots(stake=1) == {"gold_balance": 1}
        assert seen[0] == seen[1], "the same id, the same data"
        assert house.peers[1].resume_from == 1
        assert client.reconnects == 1


async def test_many_commands_in_flight_are_all_sent_again() -> None:
    async def dies_after_five(peer: Peer) -> None:
        await peer.welcome()
        if peer.number == 0:
            for _ in range(5):
                await peer.receive()
            peer.abort()
            return
        for _ in range(5):
            command = await peer.receive()
            await peer.result(command, stake=command["data"]["stake"])

    async with casino(dies_after_five) as (url, _), client_of(url) as client:
        results = await asyncio.gather(*(client.spin_slots(stake=n) for n in range(5)))
        assert [result["stake"] for result in results] == list(range(5))


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4408, 4413])
async def test_reconnects_after_every_close_that_is_not_final(code: int) -> None:
    async def closes_first(peer: Peer) -> None:
        await peer.welcome()
        if peer.number == 0:
            await peer.socket.close(code, "for a reason")
            return
        await peer.result(await peer.receive())

    async with casino(closes_first) as (url, house), client_of(url) as client:
        assert await client.spin_slots(stake=1, timeout=5) == {}
        assert len(house.peers) == 2


async def test_a_reply_that_never_comes_leaves_the_outcome_unknown_and_the_id_to_ask_with() -> None:
    async def forgets_one(peer: Peer) -> None:
        await peer.welcome()
        lost = await peer.receive()
        again = await peer.receive()
        assert lost == again
        await peer.result(again, found=True)

    async with casino(forgets_one) as (url, _), client_of(url) as client:
        with pytest.raises(CommandTimeout) as raised:
            await client.spin_slots(stake=1, timeout=0.1)
        assert raised.value.outcome_unknown
        assert raised.value.command_id in str(raised.value)
        again = await client.command("spin_slots", {"stake": 1}, id=raised.value.command_id, timeout=5)
        assert again == {"found": True}


async def test_a_command_that_was_never_sent_did_not_happen() -> None:
    async def welcomes_once(peer: Peer) -> None:
        if peer.number > 0:
            await peer.socket.wait_closed()
        await peer.welcome()
        peer.abort()

    async with casino(welcomes_once) as (url, _), client_of(url) as client:
        await until(lambda: not client.connected)
        with pytest.raises(CommandTimeout) as raised:
            await client.spin_slots(stake=1, timeout=0.1)
        assert not raised.value.outcome_unknown


async def test_errors_final_and_retryable() -> None:
    ids: list[str] = []

    async def reluctant(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(3):
            command = await peer.receive()
            ids.append(command["id"])
            await peer.error(command, "overloaded", True)
        await peer.result(await peer.receive(), done=True)
        await peer.error(await peer.receive(), "insufficient_funds", False)

    async with casino(reluctant) as (url, _), client_of(url) as client:
        assert await client.command("spin_slots", {"stake": 1}, id="mine") == {"done": True}
        assert ids == ["mine"] * 3
        with pytest.raises(CommandFailed) as raised:
            await client.spin_slots(stake=1)
        assert (raised.value.code, raised.value.retryable) == ("insufficient_funds", False)


async def test_a_gap_makes_it_resume_and_nothing_is_missing() -> None:
    async def skips_one(peer: Peer) -> None:
        await peer.welcome()
        if peer.number == 0:
            await peer.receive()
            await peer.event(2)
            await peer.event(4)
            return
        assert peer.resume_from == 2
        for seq in (2, 3, 4):
            await peer.event(seq)
        await peer.result(await peer.receive())

    async with casino(skips_one) as (url, house), client_of(url) as client:
        stream = client.events()
        await client.spin_slots(stake=1)
        stream.close()
        assert [event.seq async for event in stream if event.type != "sync_connected"] == [2, 3, 4]
        assert (client.event_gaps, client.event_duplicates) == (1, 1)
        assert len(house.peers) == 2


async def test_a_snapshot_instead_of_the_missed_events() -> None:
    async def has_forgotten(peer: Peer) -> None:
        if peer.number == 0:
            await peer.welcome()
            peer.abort()
            return
        first = await peer.receive()
        await peer.result(first, user_id="u_1")
        await peer.event(None, "sync_connected", resumed=False)
        await peer.event(80, "initial_state", gold_balance=5, level=2, exp=9)

    async with casino(has_forgotten) as (url, _), client_of(url) as client:
        await until(lambda: client.state.gold_balance == 5)
        assert client.last_seq == 80
        assert client.event_gaps == 0


@pytest.mark.parametrize("by", ["error", "close"])
async def test_a_refused_token_is_final(by: str) -> None:
    async def refuses(peer: Peer) -> None:
        first = await peer.receive()
        if by == "error":
            await peer.error(first, "token_invalid", False)
        await peer.socket.close(4401, "token_invalid")

    async with casino(refuses) as (url, house):
        with pytest.raises(AuthenticationFailed, match="token_invalid"):
            async with client_of(url):
                pass
        await asyncio.sleep(0.05)
        assert len(house.peers) == 1


async def test_a_token_refused_later_fails_what_waits_and_what_comes() -> None:
    async def expires(peer: Peer) -> None:
        if peer.number == 0:
            await peer.welcome()
            await peer.receive()
            peer.abort()
            return
        await peer.error(await peer.receive(), "token_expired", False)

    async with casino(expires) as (url, _), client_of(url) as client:
        stream = client.events()
        with pytest.raises(AuthenticationFailed):
            await client.spin_slots(stake=1)
        with pytest.raises(AuthenticationFailed):
            await client.spin_slots(stake=1)
        with pytest.raises(AuthenticationFailed):
            _ = [event async for event in stream]


async def test_the_provider_is_asked_again_when_a_token_has_expired() -> None:
    asked: list[str] = []

    async def provider() -> str:
        asked.append(f"T{len(asked)}")
        return asked[-1]

    async def only_takes_new_tokens(peer: Peer) -> None:
        if peer.number == 1:
            await peer.error(await peer.receive(), "token_expired", False)
            return
        await peer.welcome()
        if peer.number == 0:
            peer.abort()
            return
        await peer.result(await peer.receive())

    async with (
        casino(only_takes_new_tokens) as (url, house),
        client_of(url, token_provider=provider) as client,
    ):
        assert await client.spin_slots(stake=1) == {}
        assert asked == ["T0", "T1"]
        assert house.peers[2].token == "T1"


async def test_a_fresh_token_that_is_refused_is_final() -> None:
    async def provider() -> str:
        return "never good"

    async def refuses(peer: Peer) -> None:
        await peer.error(await peer.receive(), "token_invalid", False)

    async with casino(refuses) as (url, _):
        with pytest.raises(AuthenticationFailed):
            async with client_of(url, token_provider=provider):
                pass


async def test_a_provider_that_fails_ends_the_client() -> None:
    async def provider() -> str:
        raise RuntimeError("no vault")

    async with casino(echo) as (url, _):
        with pytest.raises(ConnectionLost, match="no vault"):
            async with client_of(url, token_provider=provider):
                pass


async def test_replaced_by_another_connection_is_final() -> None:
    async def replaces(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.close(4409, "too many")

    async with casino(replaces) as (url, house), client_of(url) as client:
        await until(lambda: not client.connected)
        with pytest.raises(ConnectionLost, match="4409"):
            await client.spin_slots(stake=1)
        assert len(house.peers) == 1


async def test_another_protocol_is_final() -> None:
    async with casino(echo, subprotocols=[Subprotocol("chat")], select_subprotocol=lambda *_: None) as (
        url,
        _,
    ):
        with pytest.raises(ProtocolViolation):
            async with client_of(url):
                pass


async def test_frames_that_mean_nothing_are_final() -> None:
    async def babbles(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.send(b"\xc1")

    async with casino(babbles) as (url, _), client_of(url) as client:
        with pytest.raises(ProtocolViolation):
            await client.spin_slots(stake=1)


@pytest.mark.parametrize(
    ("status", "error"), [(403, AuthenticationFailed), (404, ProtocolViolation), (503, None)]
)
async def test_refused_handshakes(status: int, error: type[Exception] | None) -> None:
    refusals = 0

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        nonlocal refusals
        refusals += 1
        return connection.respond(status, "no\n") if refusals == 1 else None

    async with casino(echo, process_request=refuse) as (url, _):
        if error is None:
            async with client_of(url) as client:
                assert client.connected
        else:
            with pytest.raises(error):
                async with client_of(url):
                    pass


async def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionLost, match="no connection"):
            async with client_of(url, connect_timeout=0.1):
                pass


async def test_a_server_that_accepts_and_says_nothing() -> None:
    async def silent(peer: Peer) -> None:
        await peer.socket.wait_closed()

    async with casino(silent) as (url, _):
        with pytest.raises(ConnectionLost):
            async with client_of(url, connect_timeout=0.1):
                pass


async def test_closing_fails_what_waits_and_ends_the_events() -> None:
    async def slow(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.wait_closed()

    async with casino(slow) as (url, _):
        async with client_of(url) as client:
            stream = client.events()
            waiting = asyncio.create_task(client.spin_slots(stake=1))
            await asyncio.sleep(0.02)
        with pytest.raises(ClientClosed):
            await waiting
        assert [event async for event in stream] == []


async def test_at_most_so_many_in_flight() -> None:
    async def counts(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(3):
            first, second = await peer.receive(), await peer.receive()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.receive(), 0.02)
            await peer.result(first)
            await peer.result(second)

    async with casino(counts) as (url, _), client_of(url, in_flight_max=2) as client:
        results = await asyncio.gather(*(client.spin_slots(stake=1, timeout=5) for _ in range(6)))
        assert len(results) == 6


async def test_the_same_id_twice_at_once_is_a_mistake() -> None:
    async with casino(echo) as (url, _), client_of(url) as client:
        first = asyncio.create_task(client.command("spin_slots", {"stake": 1}, id="a"))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="in flight"):
            await client.command("spin_slots", {"stake": 1}, id="a")
        await first


async def test_topics_are_read_apart_and_subscribed_again_after_a_reconnect() -> None:
    async def tells(peer: Peer) -> None:
        await peer.welcome()
        command = await peer.receive()
        assert (command["type"], command["data"]) == ("subscribe", {"topic": "crash/main"})
        await peer.result(command, topic="crash/main")
        data = {"table": "main", "round": peer.number}
        await peer.send(type="crash_state", user_id=None, data=data, timestamp=1, seq=None)
        if peer.number == 0:
            peer.abort()
            return
        await peer.event(2)
        command = await peer.receive()
        assert (command["type"], command["data"]) == ("unsubscribe", {"topic": "crash/main"})
        await peer.result(command, topic="crash/main")

    async with casino(tells) as (url, house), client_of(url) as client:
        told, own = client.broadcasts(), client.events()
        await client.subscribe("crash/main")
        assert [(await anext(told)).data["round"] for _ in range(2)] == [0, 1]
        await client.unsubscribe("crash/main")
        own.close()
        assert [event.seq async for event in own if event.type != "sync_connected"] == [2]
        assert (client.event_gaps, client.event_duplicates) == (0, 0)
        assert house.peers[1].resume_from == 1
    assert [event async for event in told] == []


async def test_a_guest_signs_in_over_http() -> None:
    async with FakeCasino() as house:
        house.refuse_sign_ups = 1
        async with CasinoClient.connect(house.url, guest=True, backoff=Backoff(0.001, 0.01)) as client:
            assert client.state.user_id == "u_2"
            assert (await client.spin_slots(stake=5))["gold_balance"] == 9_995
            assert client.state.gold_balance == 9_995


async def test_a_voided_token_is_renewed_and_the_stream_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server signs everybody out (4401) while the client is connected."""
    renewals: list[str] = []

    async def log_in(_url: str, username: str, _password: str, _http: object) -> Account:
        return Account("T0", "bearer", 900, f"u_{username}", "R0")

    async def refresh(_url: str, token: str, _http: object) -> Account:
        renewals.append(token)
        return Account("T1", "bearer", 900, "u_ann", "R1")

    monkeypatch.setattr(token_keeper, "log_in", log_in)
    monkeypatch.setattr(token_keeper, "refresh", refresh)

    async def signs_out(peer: Peer) -> None:
        await peer.welcome()
        if peer.number == 0:
            await peer.socket.close(4401, "token_revoked")
            return
        await peer.result(await peer.receive())

    async with (
        casino(signs_out) as (url, house),
        client_of(url, token=None, username="ann", password="pw") as client,
    ):
        assert await client.spin_slots(stake=1) == {}
        assert [peer.token for peer in house.peers] == ["T0", "T1"]
        assert house.peers[1].resume_from == 1
        assert renewals == ["R0"]
        assert await client.access_token() == client.token == "T1"


@pytest.mark.parametrize("is_taken", [True, False])
async def test_the_next_token_is_shown_on_the_connection(
    monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    """A token of a moment: the client fetches the next ones by itself."""
    lasts_s = [0.02, 900, 900]

    async def log_in(_url: str, username: str, _password: str, _http: object) -> Account:
        return Account("T0", "bearer", lasts_s.pop(0), f"u_{username}", "R0")  # type: ignore[arg-type]

    async def refresh(_url: str, token: str, _http: object) -> Account:
        return Account("T1", "bearer", lasts_s.pop(0), "u_ann", "R1")  # type: ignore[arg-type]

    monkeypatch.setattr(token_keeper, "log_in", log_in)
    monkeypatch.setattr(token_keeper, "refresh", refresh)

    async def asks_for_more(peer: Peer) -> None:
        await peer.welcome()
        if peer.number == 0:
            renewal = await peer.receive()
            assert (renewal["type"], renewal["data"]) == ("authenticate", {"token": "T1"})
            if not is_taken:
                await peer.error(renewal, "token_revoked", False)
                return
            await peer.result(renewal, user_id="u_1")
            # It was taken: to be voided later is no reason to give up.
            command = await peer.receive()
            await peer.result(command, round=1)
            return
        assert peer.token == "T1"
        await peer.result(await peer.receive(), round=2)

    async with (
        casino(asks_for_more) as (url, house),
        client_of(url, token=None, username="ann", password="pw") as client,
    ):
        await until(lambda: client.token == "T1")
        answer = await client.command("spin_slots", {"stake": 1})
        assert (answer, len(house.peers)) == (({"round": 1}, 1) if is_taken else ({"round": 2}, 2))
        assert client.reconnects == len(house.peers) - 1


async def test_a_ban_is_final() -> None:
    async def bans(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.close(4403, "banned")

    async with casino(bans) as (url, house), client_of(url) as client:
        await until(lambda: not client.connected)
        with pytest.raises(AuthenticationFailed, match="banned"):
            await client.spin_slots(stake=1)
        assert len(house.peers) == 1


async def test_ways_to_sign_in_are_exclusive() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        CasinoClient.connect("http://h", token="T", guest=True)
    with pytest.raises(ValueError, match="exactly one"):
        CasinoClient.connect("http://h")
