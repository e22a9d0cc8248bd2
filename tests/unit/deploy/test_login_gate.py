from typing import Any, cast

import pytest

from deploy.login_gate import LoginGate
from persistence.redis import CounterUnavailable, WindowCounter
from runtime.errors import Unavailable


class Counter:
    def __init__(self) -> None:
        self.did: list[tuple[str, str]] = []
        self.is_away = False

    async def _do(self, what: str, key: str) -> None:
        if self.is_away:
            raise CounterUnavailable("away")
        self.did.append((what, key))

    async def allow(self, key: str) -> float | None:
        await self._do("allow", key)
        return 7.5

    async def forget(self, key: str) -> None:
        await self._do("forget", key)


async def test_it_counts_in_redis() -> None:
    counter = Counter()
    gate = LoginGate(cast(WindowCounter, counter))
    assert await gate.count(b"\x01\xff", 5, 600) == 7.5
    await gate.reset(b"\x01\xff")
    assert counter.did == [("allow", "01ff"), ("forget", "01ff")]


@pytest.mark.parametrize("ask", [lambda gate: gate.count(b"k", 5, 600), lambda gate: gate.reset(b"k")])
async def test_without_redis(ask: Any) -> None:
    counter = Counter()
    counter.is_away = True
    with pytest.raises(Unavailable):
        await ask(LoginGate(cast(WindowCounter, counter)))
