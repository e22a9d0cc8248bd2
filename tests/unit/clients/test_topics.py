import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from clients.errors import ClientClosed, CommandFailed, CommandTimeout
from clients.protocol import Broadcast
from clients.subscription import BroadcastStream
from clients.topics import Topics


class Server:
    """Notes commands, and answers the next ones with ``failures`` first."""

    def __init__(self, *failures: Exception) -> None:
        self.given: list[tuple[str, str]] = []
        self.failures = list(failures)

    async def command(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        self.given.append((name, data["topic"]))
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return dict(data)


def refused(code: str = "unknown_topic") -> CommandFailed:
    return CommandFailed("id", code, "", False)


class Listening(BroadcastStream):
    def __init__(self, topics: Topics, topic: str | None) -> None:
        super().__init__(9, topics.remove)
        self.topic = topic
        topics.add(self)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_server_is_told_when_nobody_holds_a_topic_any_more() -> None:
    server = Server()
    topics = Topics(server.command)
    await topics.subscribe("crash/main")
    await topics.subscribe("crash/main")
    await topics.unsubscribe("crash/main")
    assert topics.held == {"crash/main"}
    await topics.unsubscribe("crash/main")
    await topics.unsubscribe("crash/main")
    assert server.given == [("subscribe", "crash/main")] * 2 + [("unsubscribe", "crash/main")]
    assert topics.held == frozenset()


async def test_a_topic_that_was_refused_is_not_held() -> None:
    server = Server(refused())
    topics = Topics(server.command)
    with pytest.raises(CommandFailed):
        await topics.subscribe("crash/none")
    topics.connected()
    await settled()
    assert len(server.given) == 1


async def test_a_new_connection_is_asked_for_all_topics_again() -> None:
    server = Server()
    topics = Topics(server.command)
    topics.connected()
    await topics.subscribe("crash/a")
    await topics.subscribe("crash/b")
    server.given.clear()
    server.failures = [CommandTimeout("id", "subscribe", 1, True)]
    topics.connected()
    await settled()
    assert server.given == [("subscribe", "crash/a")] * 2 + [("subscribe", "crash/b")]


async def test_another_connection_ends_the_asking_on_the_one_before() -> None:
    server = Server()
    topics = Topics(server.command)
    await topics.subscribe("crash/a")
    server.given.clear()
    topics.connected()
    topics.connected()
    await settled()
    assert server.given == [("subscribe", "crash/a")]


async def test_a_topic_that_is_gone_after_a_reconnect_ends_its_listeners() -> None:
    server = Server()
    topics = Topics(server.command)
    await topics.subscribe("crash/a")
    await topics.subscribe("crash/b")
    of_a, of_b, of_all = (Listening(topics, topic) for topic in ("crash/a", "crash/b", None))
    server.failures = [refused()]
    topics.connected()
    await settled()
    assert topics.held == {"crash/b"}
    topics.tell(Broadcast("x", {}, 1))
    with pytest.raises(CommandFailed):
        await anext(of_a)
    assert (await anext(of_b)).type == (await anext(of_all)).type == "x"


async def test_the_end_of_the_client_ends_everything() -> None:
    server = Server()
    topics = Topics(server.command)
    await topics.subscribe("crash/a")
    listening = Listening(topics, "crash/a")
    topics.stop(refused())
    with pytest.raises(CommandFailed):
        await anext(listening)
    assert topics.held == frozenset()
    server.failures = [ClientClosed("")]
    topics.connected()
    await settled()
    assert len(server.given) == 1


async def test_asking_again_ends_with_the_client() -> None:
    server = Server()
    topics = Topics(server.command)
    await topics.subscribe("crash/a")
    server.failures = [ClientClosed("")]
    topics.connected()
    await settled()
    assert len(server.given) == 2
    assert topics.held == {"crash/a"}
