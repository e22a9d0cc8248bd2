"""A session hears of its account's role."""

from __future__ import annotations

import pytest

from gateway.problems import Problem
from gateway.role_changes import tell_session
from gateway.roles import Role
from runtime.stream import Failure
from tests.unit.gateway.straight_router import StraightRouter


async def test_it_is_told_once_per_change() -> None:
    router = StraightRouter()
    for role, change in ((Role.VIP, 1), (Role.VIP, 1), ("PREMIUM", 2), (Role.VIP, 1)):
        await tell_session(router, "u_ann", role, change)
    assert router.state("u_ann").role.value == "PREMIUM"
    assert len(router.replies) == 2


async def test_before_the_first_change_there_is_nothing_to_tell() -> None:
    router = StraightRouter()
    await tell_session(router, "u_ann", Role.STANDARD, 0)
    assert router.submitted == []


async def test_a_session_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    router = StraightRouter()
    away = Failure(0, "unavailable", "away", True)
    monkeypatch.setattr(router, "submit", lambda *arguments, **_: arguments[4](away))
    with pytest.raises(Problem) as caught:
        await tell_session(router, "u_ann", Role.VIP, 1)
    assert caught.value.status == 503
