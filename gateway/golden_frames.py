"""Golden frames: one conversation in ``casino.v1.msgpack``, byte for byte, for clients in any language.

Owns the sample values; the bytes come from the gateway's own encoders and stand in
``golden_frames.json`` (write it anew with ``python -m gateway.golden_frames``; a test compares).
A client conforms when it encodes the client frames to these bytes, or to an equal map, and
decodes the server frames to these maps. ``variable`` names the fields whose value will differ.
A topic's events, past its view, come when they come: between any two other frames, or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.codec import MESSAGEPACK, raw_map
from gateway.schema import (
    ERRORS,
    INITIAL_STATE,
    SUBPROTOCOL_MESSAGEPACK,
    SYNC_CONNECTED,
    AuthenticateResult,
    ConnectionLimits,
    ErrorData,
    ErrorFrame,
    EventFrame,
    SyncConnectedData,
    TopicResult,
)

FILE = Path(__file__).with_name("golden_frames.json")

_USER = "u_aaaaaaaaaaaaaaaaaaaaaaaaaa"
_NOW = 1_767_225_600_000
_LIMITS = ConnectionLimits(4096, 64, 2000.0, 4000)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

_FAIRNESS = {
    "server_seed_hash": "72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793",
    "client_seed": "0202020202020202",
    "nonce": 0,
}
_PROFILE = {
    "user_id": _USER,
    "gold_balance": 10_000,
    "level": 1,
    "exp": 0,
    "exp_next_level": 100,
    "time_zone": "UTC",
    "streak": {"streak_count": 0, "claimed_on": None, "next_claim_at_ms": 0},
    "fairness": _FAIRNESS,
    "stats": {},
    "recent_actions": [],
    "crash_bets": [],
    "role": "STANDARD",
}
_SPUN = {
    "machine": "classic",
    "stake": 5,
    "stops": [7, 29, 27],
    "symbols": ["bar", "plum", "orange"],
    "multiplier": 0,
    "payout": 0,
    "gold_balance": 9_995,
    **_FAIRNESS,
}
_CLAIMED = {
    "streak_count": 1,
    "reward": 100,
    "claimed_on": "2026-01-01",
    "next_claim_at_ms": 1_767_312_000_000,
    "gold_balance": 10_095,
}

_TOPIC = "crash/main"
_ROUND = {"table": "main", "round": 7}
_HASH = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
_PREVIOUS_HASH = hashlib.sha256(bytes.fromhex(_HASH)).hexdigest()
_BET = {"user_id": _USER, "stake": 50, "auto_cash_out": 2.0}
_TABLE = {
    **_ROUND,
    "phase": "betting",
    "betting_ends_ms": _NOW + 8_000,
    "started_ms": None,
    "next_round_ms": None,
    "players": 1,
    "staked": 50,
    "bets": [{**_BET, "multiplier": None, "payout": 0}],
    "history": [
        {
            "round": 6,
            "hash": _PREVIOUS_HASH,
            "crash_point": 1.73,
            "ended": "crashed",
            "multiplier": 1.73,
            "at_ms": _NOW - 3_000,
            "bets": 1,
            "staked": 10,
            "paid": 0,
        }
    ],
    "previous_hash": _PREVIOUS_HASH,
    "stake_min": 1,
    "stake_max": 100_000,
}
_TABLE_EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "crash_bets_placed": ("Who bets.", {"bets": [_BET], "players": 2, "staked": 100}),
    "crash_started": ("Off it goes.", {"started_ms": _NOW + 8_000, "players": 2, "staked": 100}),
    "crash_tick": ("Ticks alone may be left out.", {"elapsed_ms": 1_000, "multiplier": 1.06}),
    "crash_cashed_out": (
        "Who is out.",
        {
            "cash_outs": [{"user_id": _USER, "multiplier": 2.0, "payout": 100}],
            "cashed_out": 1,
            "paid": 100,
        },
    ),
    "crash_crashed": (
        "The hash is out: its SHA-256 is the one that was known before.",
        {
            "crash_point": 2.31,
            "hash": _HASH,
            "previous_hash": _PREVIOUS_HASH,
            "ended": "crashed",
            "multiplier": 2.31,
            "players": 2,
            "staked": 100,
            "paid": 100,
        },
    ),
    "crash_betting_opened": (
        "The next round.",
        {"round": 8, "betting_ends_ms": _NOW + 40_000, "server_ms": _NOW + 30_000},
    ),
}


class GoldenFrame(NamedTuple):
    name: str
    sender: Literal["client", "server"]
    meaning: str
    payload: bytes
    """The MessagePack map, without the WebSocket frame around it."""
    variable: tuple[str, ...] = ()
    """Dotted paths of fields that hold a placeholder or an accident of this conversation."""


def conversation() -> Iterator[GoldenFrame]:
    """Two connections of one player, in order."""
    yield _request("authenticate", "auth-1", {"token": "TOKEN"}, "First message.", ("data.token",))
    yield _result("auth-1", raw_map(AuthenticateResult(_USER)), "The token is good.")
    yield _greeting("CONNECTION-1", False, 1, "The state follows; seq is null.")
    yield _event(INITIAL_STATE, _PROFILE, 1, 0, "The profile, at seq 1.")

    yield _request("spin_slots", "spin-1", {"stake": 5, "machine": "classic"}, "A spin.")
    yield _event(
        "profile_update", {"changes": {"gold_balance": 9_995, "exp": 12}}, 2, 1, "Only what changed."
    )
    stats = {"game_type": "slots", "plays": 1, "wins": 0, "losses": 1, "ev": -5.0}
    yield _event("stats_update", {"stats": stats}, 3, 1, "Statistics of the game.")
    context = {"machine": "classic", "stake": 5, "payout": 0}
    action = {"action_type": "spin_slots", "context": context, "server_ts": _NOW + 1000}
    yield _event("user_action", action, 4, 1, "For the list of recent actions.")
    yield _result("spin-1", _raw(_SPUN), "The result; the events of its turn came before it.")

    yield _request("claim_streak", "streak-1", {}, "Today's reward.")
    yield from _streak_events()
    yield _result("streak-1", _raw(_CLAIMED), "The result.")

    yield _request("claim_streak", "streak-2", {}, "Once more, under a new id.")
    already = ErrorData("streak_already_claimed", "Already claimed.", False)
    yield _error("streak-2", already, "The actor refuses; nothing changed.")
    yield _request("spin_slots", "spin-2", {"stake": True}, "Data that does not fit.")
    misfit = ErrorData("invalid_data", "Expected `int`, got `bool` - at `$.stake`", False)
    yield _error("spin-2", misfit, "The gateway refuses.")
    yield GoldenFrame("not_a_map", "client", "No map at all.", _encode([1, 2, 3]))
    unreadable = ErrorData("invalid_message", "Expected `object`, got `array`", False)
    yield _error(None, unreadable, "Nobody knows which message: id is null.")
    busy = ErrorData("rate_limited", ERRORS["rate_limited"].meaning, True)
    yield _error("spin-3", busy, "Retry the same message, under the same id, a little later.")

    resume = {"token": "TOKEN", "resume_from": 6}
    yield _request(
        "authenticate", "auth-2", resume, "A new connection, after seq 6 was seen.", ("data.token",), "resume"
    )
    yield _result("auth-2", raw_map(AuthenticateResult(_USER)), "The token is good.")
    yield _greeting("CONNECTION-2", True, 8, "Resumed: the missed events follow, up to seq 8.")
    yield from list(_streak_events())[2:]

    yield _request("subscribe", "watch-1", {"topic": _TOPIC}, "Watch a table, on this connection.")
    yield _result("watch-1", raw_map(TopicResult(_TOPIC)), "There is such a table.")
    yield _event("crash_state", _TABLE, None, 3, "All there is to see; user_id and seq are null.")
    for kind, (meaning, data) in _TABLE_EVENTS.items():
        yield _event(kind, {**_ROUND, **data}, None, 4, meaning)
    yield _request("subscribe", "watch-2", {"topic": "crash/nowhere"}, "No such table.")
    nowhere = ErrorData("unknown_topic", ERRORS["unknown_topic"].meaning, False)
    yield _error("watch-2", nowhere, "The gateway refuses.")
    yield _request("unsubscribe", "watch-3", {"topic": _TOPIC}, "Enough.")
    yield _result("watch-3", raw_map(TopicResult(_TOPIC)), "Nothing of the table comes after this.")

    newer = {"token": "TOKEN"}
    yield _request(
        "authenticate",
        "auth-3",
        newer,
        "A newer token, in good time.",
        ("data.token",),
        "renew",
    )
    yield _result("auth-3", raw_map(AuthenticateResult(_USER)), "The connection lasts as long as that one.")


def _streak_events() -> Iterator[GoldenFrame]:
    yield _event("profile_update", {"changes": {"gold_balance": 10_095}}, 5, 2, "Gold changed.")
    reward = {"reward_type": "daily_streak", "amount": 100, "balance_after": 10_095}
    yield _event("reward_granted", reward, 6, 2, "Why it changed.")
    yield _event("streak_update", {"action_type": "claim_streak", "streak_count": 1}, 7, 2, "The streak.")
    context = {"streak_count": 1, "reward": 100}
    action = {"action_type": "claim_streak", "context": context, "server_ts": _NOW + 2000}
    yield _event("user_action", action, 8, 2, "For the list of recent actions.")


def _raw(value: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _unframed(frame: bytes) -> bytes:
    return frame[2:] if frame[1] < 126 else frame[4:]


def _request(
    command: str, command_id: str, data: Any, meaning: str, variable: tuple[str, ...] = (), name: str = ""
) -> GoldenFrame:
    payload = _encode({"type": command, "id": command_id, "data": data})
    return GoldenFrame(name or command, "client", meaning, payload, ("id", *variable))


def _result(command_id: str, data: msgspec.Raw, meaning: str) -> GoldenFrame:
    payload = _unframed(MESSAGEPACK.result(command_id, data))
    return GoldenFrame("result", "server", meaning, payload)


def _error(command_id: str | None, error: ErrorData, meaning: str) -> GoldenFrame:
    payload = _unframed(MESSAGEPACK.error(ErrorFrame(command_id, error)))
    return GoldenFrame("error", "server", meaning, payload, ("data.message",))


def _event(kind: str, data: dict[str, Any], seq: int | None, second: int, meaning: str) -> GoldenFrame:
    """With a seq one of the user's, without one a topic's."""
    user_id = None if seq is None else _USER
    event = EventFrame(kind, user_id, _raw(data), _NOW + 1000 * second, seq)
    variable = ("timestamp", "data") if seq is None else ("user_id", "timestamp")
    return GoldenFrame(kind, "server", meaning, _unframed(MESSAGEPACK.event(event)), variable)


def _greeting(connection_id: str, resumed: bool, position: int, meaning: str) -> GoldenFrame:
    data = SyncConnectedData(connection_id, SUBPROTOCOL_MESSAGEPACK, _NOW, resumed, position, _LIMITS)
    payload = _unframed(MESSAGEPACK.event(EventFrame(SYNC_CONNECTED, _USER, raw_map(data), _NOW, None)))
    variable = ("user_id", "timestamp", "data.connection_id", "data.server_time", "data.limits")
    return GoldenFrame(SYNC_CONNECTED, "server", meaning, payload, variable)


def render() -> str:
    """The content of ``golden_frames.json``."""
    frames = [
        {
            "name": golden.name,
            "sender": golden.sender,
            "meaning": golden.meaning,
            "variable": list(golden.variable),
            "message": _decode(golden.payload),
            "hex": golden.payload.hex(),
        }
        for golden in conversation()
    ]
    return json.dumps({"subprotocol": SUBPROTOCOL_MESSAGEPACK, "frames": frames}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
