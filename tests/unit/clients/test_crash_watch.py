"""Watching a table, over a socket, of a server that lies on cue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from clients import CommandFailed, ConnectionLost, CrashWatch, ProtocolViolation, UnfairRound
from clients.crash_events import CrashCrashed, CrashState, CrashTick
from clients.crash_fairness import FAIRNESS_PATH, CrashFairness
from clients.protocol import Broadcast
from clients.topics import Topics
from tests.unit.clients.crash_house import CrashHouse
from tests.unit.clients.test_client import Peer, casino, client_of, until

HOUSE = CrashHouse(length=40)


class Published:
    """Answers for the fairness of tables; each answer is given once, the last for ever."""

    def __init__(self, *answers: CrashFairness | int) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path != FAIRNESS_PATH:
            return None
        assert parse_qs(parts.query) == {"table": ["main"]}
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            return connection.respond(HTTPStatus(answer), "no\n")
        return connection.respond(HTTPStatus.OK, msgspec.json.encode(answer).decode())


async def tell(peer: Peer, kind: str, **data: Any) -> None:
    await peer.send(type=kind, user_id=None, data={"table": "main", **data}, timestamp=1, seq=None)


async def subscribed(peer: Peer, round: int = 1, **state: Any) -> dict[str, Any]:
    """Answer the next command, a subscription, as the server does."""
    command = await peer.receive()
    assert (command["type"], command["data"]) == ("subscribe", {"topic": "crash/main"})
    await peer.result(command, topic="crash/main")
    await tell(peer, "crash_state", **HOUSE.state(round, **state))
    return command


async def test_events_the_table_and_proof_of_every_round() -> None:
    left: list[dict[str, Any]] = []

    async def plays(peer: Peer) -> None:
        await peer.welcome()
        await subscribed(peer, round=3, history=[HOUSE.finished(2), HOUSE.finished(1)])
        await tell(peer, "crash_started", round=3, started_ms=9, players=0, staked=0)
        await peer.event(2, changes={"gold_balance": 90})
        await tell(peer, "crash_crashed", **HOUSE.crashed(3))
        await tell(peer, "crash_crashed", **HOUSE.crashed(4))
        left.append(await peer.receive())
        await peer.result(left[0], topic="crash/main")

    published = Published(HOUSE.fairness(3))
    async with casino(plays, process_request=published) as (url, _), client_of(url) as client:
        own = client.events()
        everything = client.broadcasts()
        async with client.watch_crash() as watch:
            events = [await anext(watch) for _ in range(4)]
            assert [type(event).__name__ for event in events] == [
                "CrashState", "CrashStarted", "CrashCrashed", "CrashCrashed",
            ]  # fmt: skip
            assert (watch.table.phase, watch.table.round, watch.table.rounds_verified) == ("crashed", 4, 4)
        assert [event async for event in watch] == []
        await until(lambda: len(left) == 1)
        assert (left[0]["type"], left[0]["data"]) == ("unsubscribe", {"topic": "crash/main"})
        assert (await anext(own)).seq == 2, "the player's own events, and only they"
        assert (client.last_seq, client.event_gaps, client.state.gold_balance) == (2, 0, 90)
        assert (await anext(everything)).type == "crash_state"
        assert published.asked == 1


async def test_a_reconnect_subscribes_again_and_the_missed_rounds_are_proved() -> None:
    async def loses_the_first(peer: Peer) -> None:
        await peer.welcome()
        if peer.number == 0:
            await subscribed(peer, round=1)
            await tell(peer, "crash_crashed", **HOUSE.crashed(1))
            peer.abort()
            return
        await subscribed(peer, round=5, history=[HOUSE.finished(round) for round in (4, 3)])
        await tell(peer, "crash_crashed", **HOUSE.crashed(5))
        await peer.result(await peer.receive(), topic="crash/main")

    async with (
        casino(loses_the_first, process_request=Published(HOUSE.fairness(1))) as (url, house),
        client_of(url) as client,
        client.watch_crash() as watch,
    ):
        seen = []
        async for event in watch:
            seen.append((type(event).__name__, event.round))
            if event.round == 5 and isinstance(event, CrashCrashed):
                break
        assert seen == [("CrashState", 1), ("CrashCrashed", 1), ("CrashState", 5), ("CrashCrashed", 5)]
        assert (watch.table.rounds_verified, watch.table.unfair_rounds) == (4, [])
        assert len(house.peers) == 2


async def test_an_unfair_round_reaches_the_reader_after_its_events_and_is_recorded() -> None:
    async def cheats(peer: Peer) -> None:
        await peer.welcome()
        await subscribed(peer)
        await tell(peer, "crash_crashed", **HOUSE.crashed(1, crash_point=1.0, multiplier=1.0))
        await tell(peer, "crash_betting_opened", round=2, betting_ends_ms=2, server_ms=1)
        await peer.result(await peer.receive(), topic="crash/main")

    async with (
        casino(cheats, process_request=Published(HOUSE.fairness(1))) as (url, _),
        client_of(url) as client,
    ):
        async with client.watch_crash() as watch:
            assert isinstance(await anext(watch), CrashState)
            assert isinstance(await anext(watch), CrashCrashed)
            with pytest.raises(UnfairRound, match=r"round 1 of table 'main': it crashed at 1\.00"):
                await anext(watch)
            await until(lambda: watch.table.round == 2)
            assert [unfair.round for unfair in watch.table.unfair_rounds] == [1]
        assert client.connected


async def test_a_house_that_is_not_committed_is_not_watched() -> None:
    async def plays(peer: Peer) -> None:
        await peer.welcome()

    lie = HOUSE.fairness(5, terminating_hash="ab" * 32)
    async with casino(plays, process_request=Published(lie)) as (url, _), client_of(url) as client:
        with pytest.raises(UnfairRound, match="terminating hash"):
            async with client.watch_crash():
                pass


@pytest.mark.parametrize(("status", "error"), [(404, ProtocolViolation), (503, ConnectionLost)])
async def test_without_what_was_published_nothing_is_watched(status: int, error: type[Exception]) -> None:
    async def plays(peer: Peer) -> None:
        await peer.welcome()

    async with casino(plays, process_request=Published(status)) as (url, _), client_of(url) as client:
        with pytest.raises(error):
            async with client.watch_crash():
                pass


async def test_a_topic_that_is_refused_is_not_listened_to() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.welcome()
        await peer.error(await peer.receive(), "too_many_topics", False)

    async with (
        casino(refuses, process_request=Published(HOUSE.fairness(1))) as (url, _),
        client_of(url) as client,
    ):
        watch = client.watch_crash()
        with pytest.raises(CommandFailed, match="too_many_topics"):
            async with watch:
                pass
        assert [event async for event in watch] == []


async def test_the_next_chain_is_asked_for_when_one_is_used_up() -> None:
    following = CrashHouse(length=5, first_round=41, seed=b"another")

    async def plays(peer: Peer) -> None:
        await peer.welcome()
        await subscribed(peer, round=40)
        await tell(peer, "crash_crashed", **HOUSE.crashed(40))
        await tell(peer, "crash_crashed", **following.crashed(41))
        await peer.result(await peer.receive(), topic="crash/main")

    published = Published(HOUSE.fairness(40), following.fairness(41))
    async with (
        casino(plays, process_request=published) as (url, _),
        client_of(url) as client,
        client.watch_crash() as watch,
    ):
        await until(lambda: watch.table.rounds_verified == 2)
        assert watch.table.fairness == following.fairness(41)
        assert published.asked == 2


async def test_the_end_of_the_client_ends_the_watch() -> None:
    async def plays(peer: Peer) -> None:
        await peer.welcome()
        await subscribed(peer)

    async with casino(plays, process_request=Published(HOUSE.fairness(1))) as (url, _):
        client = client_of(url)
        async with client:
            watch = client.watch_crash()
            await watch.__aenter__()
            reader = asyncio.create_task(collect(watch))
        assert [type(event).__name__ for event in await reader] == ["CrashState"]


async def collect(watch: CrashWatch) -> list[Any]:
    return [event async for event in watch]


def unconnected(events_max: int = 3) -> tuple[CrashWatch, Callable[..., None]]:
    """A watch that is told events without a server."""

    async def command(name: str, data: Any) -> dict[str, Any]:
        raise AssertionError("nothing is asked")

    watch = CrashWatch("main", Topics(command), "http://nowhere", events_max)

    def tell(elapsed_ms: Any) -> None:
        data = {"table": "main", "round": 1, "elapsed_ms": elapsed_ms, "multiplier": 1.0}
        watch.hear(Broadcast("crash_tick", data, None))

    return watch, tell


async def test_a_tick_that_waits_gives_way_to_the_next() -> None:
    watch, tell = unconnected()
    for elapsed_ms in range(0, 5000, 100):
        tell(elapsed_ms)
    assert watch.dropped == 0
    watch.close()
    assert await collect(watch) == [CrashTick("main", 1, 4900, 1.0)]


async def test_an_event_that_lacks_its_fields_ends_the_watch_and_not_the_client() -> None:
    watch, tell = unconnected()
    tell("soon")
    with pytest.raises(ProtocolViolation, match="crash_tick"):
        await anext(watch)
