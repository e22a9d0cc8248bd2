"""HTTP errors as problem documents (RFC 9457): ``{type, title, status, detail, code}``.

Owns the shape of every HTTP error, those of the framework included. ``code`` is stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from gateway.http_metrics import note_problem
from runtime.errors import CommandError

_CODES = {
    HTTPStatus.BAD_REQUEST: "invalid_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid_data",
}


_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}

_STATUSES = {
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
    "invalid_data": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unknown_table": HTTPStatus.NOT_FOUND,
    "unknown_machine": HTTPStatus.NOT_FOUND,
    "account_unknown": HTTPStatus.NOT_FOUND,
}


def status_of(code: str, retryable: bool = False) -> HTTPStatus:
    """The status of an error that an actor or a store gave. A rule that says no is a conflict: 409."""
    return HTTPStatus.SERVICE_UNAVAILABLE if retryable else _STATUSES.get(code, HTTPStatus.CONFLICT)


def title_of(status: int) -> str:
    """The status in words, the same under every version of Python (RFC 9110 has renamed two)."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase


class ProblemDocument(BaseModel):
    """What every error answers, as ``application/problem+json``."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class Problem(Exception):
    """Raise it in an endpoint to answer with a problem document."""

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem_response(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    document = ProblemDocument(
        type=f"urn:casino-club:problem:{code}",
        title=title_of(status),
        status=status,
        detail=detail,
        code=code,
    )
    return ProblemResponse(document.model_dump(), status, dict(headers) if headers else None)


def answer(
    request: Request, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """The document, whose code is counted."""
    note_problem(request.scope, code)
    return problem_response(status, code, detail, headers)


def install_problem_handlers(app: FastAPI) -> None:
    """Let every error of the app come out as a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> ProblemResponse:
        return answer(request, error.status, error.code, error.detail, error.headers)

    @app.exception_handler(CommandError)
    async def on_command_error(request: Request, error: CommandError) -> ProblemResponse:
        headers = {"Retry-After": "1"} if error.retryable else None
        status = status_of(error.code, error.retryable)
        return answer(request, status, error.code, error.message, headers)

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> ProblemResponse:
        status = HTTPStatus(error.status_code)
        code = _CODES.get(status, status.phrase.lower().replace(" ", "_"))
        headers = error.headers
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {**(headers or {}), "Allow": ", ".join(_methods_of(request))}
        return answer(request, status, code, str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(request: Request, error: RequestValidationError) -> ProblemResponse:
        detail = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:8]
        )
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_data", detail)

    @app.exception_handler(Exception)
    async def on_defect(request: Request, _: Exception) -> ProblemResponse:
        # Not logged here: the framework raises it again, and uvicorn logs it.
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "A defect of the server.")


def _methods_of(request: Request) -> list[str]:
    """What can be done at the request's path. The framework knows only the first of its routes."""
    scope = dict(request.scope)
    return [
        method
        for method in _METHODS
        if any(
            route.matches(scope | {"method": method})[0] is Match.FULL for route in request.app.router.routes
        )
    ]
