"""ASGI middleware that refuses request bodies over a size (413)."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http_metrics import note_problem
from gateway.problems import problem_response


class BodyLimit:
    """Judges by the declared length at once, and by what arrives in any case."""

    def __init__(self, app: ASGIApp, body_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        detail = f"At most {self._body_bytes_max} bytes are taken."
        # Whatever of the body is still to come must not be read as the next request.
        headers = {"Connection": "close"}
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._body_bytes_max:
            note_problem(scope, "body_too_large")
            response = problem_response(413, "body_too_large", detail, headers)
            await response(scope, receive, send)
            return
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes_max:
                raise HTTPException(413, detail, headers)
            return message

        await self._app(scope, counted_receive, send)
