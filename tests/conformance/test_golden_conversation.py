"""The golden frames' conversation, played against a live casino by a client that is not ours."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tests.conformance.minimal_client import SUBPROTOCOL, MinimalClient, sign_in_guest

GOLDEN = json.loads((Path(__file__).parents[2] / "gateway" / "golden_frames.json").read_text())
FRAMES: list[dict[str, Any]] = GOLDEN["frames"]
RESUME_BEHIND = 2
BROADCASTS: dict[str, dict[str, Any]] = {
    frame["name"]: frame
    for frame in FRAMES
    if "seq" in frame["message"] and frame["message"]["user_id"] is None and frame["name"] != "crash_state"
}
"""A topic's events by type. Nobody knows which of them come, or when; only its view is certain."""


def differences(golden: Any, live: Any, path: str = "") -> list[str]:
    """Where the live value has another shape than the golden one: keys and types, not values."""
    if isinstance(golden, dict) and isinstance(live, dict):
        found = [f"{path}.{key} is missing" for key in golden.keys() - live.keys()]
        found += [f"{path}.{key} is not in the golden frame" for key in live.keys() - golden.keys()]
        for key in golden.keys() & live.keys():
            found += differences(golden[key], live[key], f"{path}.{key}")
        return found
    if isinstance(golden, list) and isinstance(live, list):
        if not golden:
            return []
        return [
            problem
            for number, item in enumerate(live)
            for problem in differences(golden[0], item, f"{path}[{number}]")
        ]
    if golden is None or type(golden) is type(live):
        return []
    return [f"{path} is {type(live).__name__} {live!r}, not {type(golden).__name__}"]


def agree(golden: dict[str, Any], live: dict[str, Any]) -> None:
    """A live server frame is what the golden one says it is."""
    message = golden["message"]
    assert live["type"] == message["type"], f"expected {message}, got {live}"
    if message["type"] == "error":
        assert live["id"] == message["id"]
        assert live["data"]["code"] == message["data"]["code"]
        assert live["data"]["retryable"] is message["data"]["retryable"]
    if message["type"] == "result":
        assert live["id"] == message["id"]
    assert differences(message, live) == []


@pytest.mark.parametrize(
    "frame", FRAMES, ids=[f"{number}-{frame['name']}" for number, frame in enumerate(FRAMES)]
)
def test_golden_bytes_are_the_golden_message(frame: dict[str, Any]) -> None:
    payload = bytes.fromhex(frame["hex"])
    assert msgpack.unpackb(payload) == frame["message"]
    if frame["sender"] == "client":
        assert msgpack.packb(frame["message"]) == payload


@pytest.mark.system
@pytest.mark.timeout(60)
async def test_a_stranger_plays_the_golden_conversation(casino_url: str) -> None:
    assert GOLDEN["subprotocol"] == SUBPROTOCOL
    account = await asyncio.to_thread(sign_in_guest, casino_url)
    client = MinimalClient(casino_url)
    sent: set[str | None] = set()
    is_open = False
    missed: list[dict[str, Any]] = []
    backlog: list[dict[str, Any]] = []
    try:
        for frame in FRAMES:
            message = frame["message"]
            if frame["sender"] == "client":
                if frame["name"] in ("authenticate", "resume"):
                    if is_open:
                        await client.__aexit__(None, None, None)
                        assert client.last_seq is not None
                        client = MinimalClient(casino_url, client.last_seq - RESUME_BEHIND)
                        backlog = missed[-RESUME_BEHIND:]
                    await client.__aenter__()
                    is_open = True
                    data: dict[str, Any] = {"token": account["access_token"]}
                    if "resume_from" in message["data"]:
                        data["resume_from"] = client.last_seq
                    message = {**message, "data": data}
                elif frame["name"] == "renew":
                    message = {**message, "data": {"token": account["access_token"]}}
                sent.add(message["id"] if isinstance(message, dict) else None)
                await client.send(message)
                continue
            if message["type"] in ("result", "error") and message["id"] not in sent:
                continue  # an answer that only a flood provokes
            if message["type"] in BROADCASTS:
                continue  # comes when it comes: see beside_broadcasts
            live = await beside_broadcasts(client)
            agree(frame, live)
            if live.get("seq") is not None:
                if backlog:
                    assert live == backlog.pop(0), "a resumed event differs from its first sending"
                missed.append(live)
            if live["type"] == "sync_connected":
                assert live["data"]["resumed"] is bool(backlog)
                assert live["user_id"] == account["user_id"]
        assert not backlog
        await a_repeated_command_gets_its_first_reply(client)
    finally:
        await client.__aexit__(None, None, None)


async def beside_broadcasts(client: MinimalClient) -> dict[str, Any]:
    """The next message that is not one of a topic's events; those are compared on the way."""
    while True:
        live = await asyncio.wait_for(client.receive(), 10)
        golden = BROADCASTS.get(live["type"])
        if golden is None:
            return live
        agree(golden, live)
        assert (live["user_id"], live["seq"]) == (None, None)


async def a_repeated_command_gets_its_first_reply(client: MinimalClient) -> None:
    """Same id and content: the stored reply, nothing applied. Same id, other content: refused."""
    spin = {"type": "spin_slots", "id": "again", "data": {"stake": 1}}
    await client.send(spin)
    first = await until_answered(client)
    await client.send(spin)
    assert await asyncio.wait_for(client.receive(), 10) == first
    await client.send({**spin, "data": {"stake": 2}})
    refused = await asyncio.wait_for(client.receive(), 10)
    assert (refused["type"], refused["data"]["code"]) == ("error", "id_reused")


async def until_answered(client: MinimalClient) -> dict[str, Any]:
    while True:
        message = await asyncio.wait_for(client.receive(), 10)
        if message["type"] in ("result", "error"):
            return message
