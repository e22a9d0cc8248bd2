"""``/healthz``: the process is alive. ``/readyz``: it should get traffic, or why not."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.hub import Hub
from gateway.ports import ReadinessCheck
from gateway.revocations import Revocations

_CHECK_DEADLINE_S = 2.0


class Health(BaseModel):
    status: str


class Readiness(BaseModel):
    ready: bool
    reasons: dict[str, str]
    """Why not, by the name of the check."""


async def _reason(check: ReadinessCheck) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_DEADLINE_S):
            return await check()
    except TimeoutError:
        return f"no answer within {_CHECK_DEADLINE_S} s"
    except Exception as error:
        return type(error).__name__


def revocations_heard(revocations: Revocations) -> ReadinessCheck:
    """Whoever was banned or lost a role since may still be believed here: no new clients."""

    async def check() -> str | None:
        return "revocations cannot be read" if revocations.is_stale else None

    return check


def health_routes(hub: Hub, checks: dict[str, ReadinessCheck]) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Health:
        return Health(status="ok")

    @router.get("/readyz", summary="Should it get traffic?", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        answers = await asyncio.gather(*(_reason(check) for check in checks.values()))
        reasons = {name: reason for name, reason in zip(checks, answers, strict=True) if reason}
        if hub.is_draining:
            reasons["gateway"] = "draining"
        if reasons:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return Readiness(ready=not reasons, reasons=reasons)

    return router
