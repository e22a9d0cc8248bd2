"""Headers that every HTTP answer carries, whoever made it, and those that let web pages read it.

Owns security headers and CORS, as one ASGI wrapper around the whole app: an answer to a defect, which
comes from outside of the app's middleware, has them too.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_OF_THE_API = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_API = "/api/"
_HSTS = "max-age=31536000"
_PREFLIGHT_KEPT_S = 600


class SecurityHeaders:
    """Adds what is not there yet. HSTS only where the client came by https, if through a proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = dict(_ALWAYS)
        if scope["path"].startswith(_API):
            added |= _OF_THE_API
        if scope["scheme"] == "https":
            added["Strict-Transport-Security"] = _HSTS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def with_headers(app: ASGIApp, allowed_origins: Sequence[str]) -> ASGIApp:
    """The app, with its headers. Pages of other origins than these can read nothing.

    Credentials are never allowed: a token is shown in a header, which no page sends by itself.
    """
    cors = CORSMiddleware(
        app,
        allow_origins=list(allowed_origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"],
        expose_headers=["Retry-After", "WWW-Authenticate", "X-Request-Id"],
        max_age=_PREFLIGHT_KEPT_S,
    )
    return SecurityHeaders(cors)
