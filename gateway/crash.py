"""REST of Crash: what happened at a table, how it is proved fair, and a player's own bets.

Owns the routes and the shapes of their answers. The tables are the topics ``crash/<table>``;
what they answer comes from the actors unchanged.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from gateway.authentication import user_of
from gateway.dependencies import GatewayDependencies
from gateway.fanout import session_of
from gateway.problems import Problem, ProblemDocument
from gateway.questions import SharedAnswers, ask
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


class CrashBet(BaseModel):
    table: str
    round: int | None
    """Null while the table has not taken it yet."""
    stake: int
    auto_cash_out: _Multiplier | None
    status: Literal["pending", "placed", "cashing_out", "cashed_out", "crashed"]
    multiplier: _Multiplier | None
    payout: int
    at_ms: int = Field(description=_MILLISECONDS)


class CrashBets(BaseModel):
    open: list[CrashBet]
    settled: list[CrashBet]
    """Newest first; the last few only."""


def crash_routes(dependencies: GatewayDependencies) -> APIRouter:
    unavailable: dict[int | str, dict[str, Any]] = {503: {"model": ProblemDocument}}
    router = APIRouter(prefix="/api/games/crash", tags=["crash"], responses=unavailable)
    answers = SharedAnswers(dependencies.router, dependencies.clock, dependencies.limits.answer_kept_s)
    authenticated = user_of(dependencies.tokens)

    def actor_of(table: str) -> ActorId:
        # Whoever asks an unknown actor starts it.
        actor = dependencies.topics.known.get(f"crash/{table}")
        if actor is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_table", "There is no such table.")
        return actor

    @router.get("/history", summary="Past rounds of a table", responses={404: {"model": ProblemDocument}})
    async def history(
        table: _Table = "main", limit: Annotated[int, Query(ge=1, le=_ROUNDS_MAX)] = 50
    ) -> CrashHistory:
        # Everybody's question is the same, so that everybody can share the answer.
        answer = await answers.ask(actor_of(table), "get_crash_history", {"limit": _ROUNDS_MAX})
        return CrashHistory(table=answer["table"], rounds=answer["rounds"][:limit])

    @router.get("/fairness", summary="What proves a table fair", responses={404: {"model": ProblemDocument}})
    async def fairness(table: _Table = "main") -> CrashFairness:
        return CrashFairness(**await answers.ask(actor_of(table), "get_crash_fairness", {}))

    @router.get("/bets", summary="Your own bets", responses={401: {"model": ProblemDocument}})
    async def bets(user_id: str = Depends(authenticated)) -> CrashBets:
        return CrashBets(**await ask(dependencies.router, session_of(user_id), "get_crash_bets", {}))

    return router
