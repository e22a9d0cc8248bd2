"""A whole REST interface over fakes: real sessions, accounts and office in memory, one of each role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from actors.catalogue import behaviors
from gateway.app import create_app
from gateway.fanout import session_of
from gateway.roles import Role
from tests.unit.gateway.declared import must_be_declared
from tests.unit.gateway.fake_accounts import FakeAccounts
from tests.unit.gateway.fake_office import FakeOffice
from tests.unit.gateway.fakes import FakeClock, dependencies
from tests.unit.gateway.straight_router import StraightRouter


class House:
    def __init__(self, **changes: Any) -> None:
        clock = FakeClock()
        self.clock = clock
        self.router = StraightRouter(clock)
        self.accounts = FakeAccounts(clock)
        self.office = FakeOffice(
            self.accounts, has_opened=lambda user_id: session_of(user_id) in self.router.states
        )
        self.parts = dependencies(
            clock=clock,
            router=self.router,
            accounts=self.accounts,
            back_office=self.office.ports,
            catalogue=behaviors()["session"].commands,
            **changes,
        )
        for role in Role:
            self.accounts.add(role.value.capitalize(), role=role.value)
        self.app = create_app(self.parts)

    def bearer(self, user_id: str = "u_standard", role: Role | None = None) -> dict[str, str]:
        """The header of a fresh access token; of the role that the account has, if nothing is said."""
        account = self.accounts.accounts.get(user_id)
        known = role or (Role(account.role) if account is not None else Role.STANDARD)
        return {"Authorization": f"Bearer {self.parts.tokens.issue(user_id, known).token}"}

    @asynccontextmanager
    async def client(self, user_id: str | None = "u_standard") -> AsyncIterator[httpx.AsyncClient]:
        """``user_id`` None: of nobody."""
        headers = self.bearer(user_id) if user_id is not None else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://casino",
            headers=headers,
            event_hooks={"response": [must_be_declared]},
        ) as client:
            yield client

    def commands(self) -> list[tuple[str, str, str]]:
        """``(user id, command id, name)`` of what sessions were asked."""
        return [(actor.partition("/")[2], id_, name) for actor, id_, name, _ in self.router.submitted]
