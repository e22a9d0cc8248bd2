"""Examples of what players send and are answered, for the OpenAPI document. A test holds each against
its schema. Data only."""

from __future__ import annotations

from typing import Any, NamedTuple


class Example(NamedTuple):
    data: dict[str, Any]
    result: dict[str, Any]


_USER = "u_mfrggzdfmztwq2lknnwg23tpob"
_NOW = 1_767_225_600_000
_SPUN = {
    "action_type": "spin_slots",
    "context": {"machine": "classic", "stake": 50, "payout": 250},
    "server_ts": _NOW,
}
_SLOTS = {"plays": 1, "wins": 1, "losses": 0, "wagered": 50, "won": 250, "ev": 200.0}
_BET = {
    "table": "main",
    "round": 412,
    "stake": 100,
    "auto_cash_out": 1.5,
    "status": "cashed_out",
    "multiplier": 1.5,
    "payout": 150,
    "at_ms": _NOW,
}
_FAIRNESS = {
    "server_seed_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "client_seed": "5f2c9a81d0e4b763",
    "nonce": 0,
}

EXAMPLES: dict[str, Example] = {
    "get_profile": Example(
        {},
        {
            "user_id": _USER,
            "gold_balance": 10_300,
            "level": 1,
            "exp": 17,
            "exp_next_level": 100,
            "time_zone": "Asia/Seoul",
            "streak": {
                "streak_count": 1,
                "claimed_on": "2026-01-01",
                "next_claim_at_ms": 1_767_279_600_000,
            },
            "fairness": _FAIRNESS | {"nonce": 1},
            "stats": {"slots": _SLOTS},
            "recent_actions": [_SPUN],
            "crash_bets": [],
            "role": "STANDARD",
        },
    ),
    "get_dashboard": Example(
        {},
        {
            "user_id": _USER,
            "role": "STANDARD",
            "gold_balance": 10_300,
            "level": 1,
            "exp": 17,
            "exp_next_level": 100,
            "streak": {
                "streak_count": 1,
                "claimed_on": "2026-01-01",
                "claimable": False,
                "next_count": 2,
                "next_reward": 200,
                "next_claim_at_ms": 1_767_279_600_000,
            },
            "stats": {"slots": _SLOTS},
            "recent_actions": [_SPUN],
            "crash_bets": {"open": [], "settled": [_BET]},
        },
    ),
    "claim_streak": Example(
        {},
        {
            "streak_count": 1,
            "reward": 100,
            "claimed_on": "2026-01-01",
            "next_claim_at_ms": 1_767_279_600_000,
            "gold_balance": 10_100,
        },
    ),
    "log_action": Example(
        {"action_type": "lobby.opened", "client_ts": _NOW - 40, "context": {"tab": "slots"}},
        {"server_ts": _NOW},
    ),
    "log_actions": Example(
        {
            "actions": [
                {"action_type": "lobby.opened", "client_ts": _NOW - 900},
                {"action_type": "lobby.tab", "client_ts": _NOW - 40, "context": {"tab": "slots"}},
            ]
        },
        {"logged": 2, "server_ts": _NOW},
    ),
    "spin_slots": Example(
        {"stake": 50, "machine": "classic"},
        {
            "machine": "classic",
            "stake": 50,
            "stops": [0, 1, 2],
            "symbols": ["lemon", "lemon", "lemon"],
            "multiplier": 5,
            "payout": 250,
            "gold_balance": 10_300,
            **_FAIRNESS,
        },
    ),
    "place_crash_bet": Example(
        {"stake": 100, "auto_cash_out": 1.5},
        {"table": "main", "round": 412, "stake": 100, "auto_cash_out": 1.5, "gold_balance": 10_200},
    ),
    "get_crash_bets": Example({}, {"open": [], "settled": [_BET]}),
    "cash_out_crash": Example(
        {"table": "main"},
        {
            "table": "main",
            "round": 412,
            "stake": 100,
            "multiplier": 1.27,
            "payout": 127,
            "gold_balance": 10_327,
        },
    ),
}
