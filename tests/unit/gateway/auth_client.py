"""A client of ``/api/auth`` without a network, and the accounts behind it."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI

from gateway.accounts import auth_routes
from gateway.dependencies import GatewayDependencies
from gateway.invites import invite_hash
from gateway.passwords import Passwords
from gateway.problems import install_problem_handlers
from gateway.tokens import Bearer
from tests.unit.gateway.declared import must_be_declared
from tests.unit.gateway.fake_accounts import FakeAccount, FakeAccounts
from tests.unit.gateway.fakes import CHEAP, FakeClock, FakeRouter, dependencies, front_door

PASSWORD = "correct horse"
INVITE = "ABCD-EFGH"


class AuthClient:
    def __init__(self, passwords: Passwords | None = None, **changes: Any) -> None:
        self.clock = FakeClock()
        self.store = FakeAccounts(self.clock)
        self.store.invites[invite_hash(INVITE)] = 1
        self.passwords = passwords or Passwords(CHEAP, threads=2)
        self.parts: GatewayDependencies = dependencies(
            clock=self.clock,
            accounts=self.store,
            front_door=front_door(self.store, self.passwords),
            **changes,
        )
        router = self.parts.router
        assert isinstance(router, FakeRouter)
        router.replies = {"set_role": {}}
        app = FastAPI()
        install_problem_handlers(app)
        app.include_router(auth_routes(self.parts))
        self.app = app
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://casino",
            event_hooks={"response": [must_be_declared]},
        )

    async def account(self, username: str = "ann", **changes: Any) -> FakeAccount:
        return self.store.add(username, await self.passwords.hash(PASSWORD), **changes)

    async def post(self, path: str, token: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await self.http.post(f"/api/auth/{path}", json=body, headers=headers)

    async def log_in(self, username: str = "ann", password: str = PASSWORD) -> httpx.Response:
        return await self.post("login", username=username, password=password)

    def bearer(self, response: httpx.Response) -> Bearer:
        return self.parts.tokens.verify(response.json()["access_token"])


def answer_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]
