"""REST of Crash for anybody: what happened at a table, and how it is proved fair.

Owns the routes and the shapes of their answers. The tables are the topics ``crash/<table>``;
what they answer comes from the actors unchanged. To play is in ``gateway.play``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from gateway.dependencies import GatewayDependencies
from gateway.openapi import ASKED, CHECKED, VISITED, problems
from gateway.problems import Problem
from gateway.questions import SharedAnswers
from gateway.request_limits import visitor_of
from runtime.identity import ActorId

_ROUNDS_MAX = 100
_Table = Annotated[str, Query(min_length=1, max_length=64, description="Name of the table")]
_Multiplier = Annotated[float, Field(ge=1, description="Two decimals")]
_MILLISECONDS = "ms since the Unix epoch"


class CrashRound(BaseModel):
    round: int
    hash: str
    """Hex. Its SHA-256 is the hash of the round before."""
    crash_point: _Multiplier
    ended: Literal["crashed", "forced"]
    """``forced``: everybody still in was paid, because the table may not owe more."""
    multiplier: _Multiplier
    """Where it ended; the crash point, unless forced."""
    at_ms: int = Field(description=_MILLISECONDS)
    bets: int
    staked: int
    paid: int


class CrashHistory(BaseModel):
    table: str
    rounds: list[CrashRound]
    """Newest first."""


class CrashFairness(BaseModel):
    table: str
    terminating_hash: str
    """Hex. Published before the chain's first round: every round's hash leads to it by SHA-256."""
    salt: str
    salt_source: str
    first_round: int
    length: int
    """Rounds that the chain is good for."""
    round: int
    """The latest that was opened."""
    rounds_left: int
    previous_hash: str
    """SHA-256 of the hash that decides ``round``."""


def crash_routes(dependencies: GatewayDependencies) -> APIRouter:
    router = APIRouter(
        prefix="/api/games/crash",
        tags=["crash"],
        dependencies=[Depends(visitor_of(dependencies))],
        responses=problems(VISITED, ASKED, CHECKED, {404: ["unknown_table"]}),
    )
    answers = SharedAnswers(dependencies.router, dependencies.clock, dependencies.limits.answer_kept_s)

    def actor_of(table: str) -> ActorId:
        # Whoever asks an unknown actor starts it.
        actor = dependencies.topics.known.get(f"crash/{table}")
        if actor is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_table", "There is no such table.")
        return actor

    @router.get("/history", summary="Past rounds of a table")
    async def history(
        table: _Table = "main", limit: Annotated[int, Query(ge=1, le=_ROUNDS_MAX)] = 50
    ) -> CrashHistory:
        # Everybody's question is the same, so that everybody can share the answer.
        answer = await answers.ask(actor_of(table), "get_crash_history", {"limit": _ROUNDS_MAX})
        return CrashHistory(table=answer["table"], rounds=answer["rounds"][:limit])

    @router.get("/fairness", summary="What proves a table fair")
    async def fairness(table: _Table = "main") -> CrashFairness:
        return CrashFairness(**await answers.ask(actor_of(table), "get_crash_fairness", {}))

    return router
