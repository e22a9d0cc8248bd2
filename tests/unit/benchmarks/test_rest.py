"""The benchmark of the REST interface, against an interface over fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from benchmarks.rest import KindReport, RestOptions, RestReport, measure, show
from gateway.rate_limit import LocalRateLimiter
from gateway.server import GatewayServer
from tests.unit.gateway.fakes import FakeClock
from tests.unit.gateway.house import House


@pytest.fixture
async def house() -> AsyncIterator[tuple[House, str]]:
    house = House(rate_limiter=LocalRateLimiter(FakeClock(), 1000, 1))
    server = GatewayServer(house.parts)
    await server.start("127.0.0.1", 0)
    try:
        yield house, f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def test_every_request_of_the_schedule_is_measured(house: tuple[House, str]) -> None:
    parts, url = house
    options = RestOptions(url=url, rate=100, seconds=0.5, players=3, seed=1)
    report = await measure(options)
    assert report.ok
    assert report.read.requests + report.write.requests == 50
    assert min(report.read.requests, report.write.requests) > 10
    assert 0 < report.read.p50_ms <= report.read.p95_ms <= report.read.p99_ms <= report.read.max_ms
    keys = [command_id for _, command_id, name in parts.commands() if name in ("spin_slots", "log_action")]
    assert len(keys) == len(set(keys)), "each is another command"
    assert len({user for user, _, _ in parts.commands()}) == 3


async def test_the_schedule_does_not_wait_for_answers(
    house: tuple[House, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, url = house
    answers: list[asyncio.TimerHandle] = []
    submit = parts.router.submit

    def slowly(*arguments, **more) -> None:
        loop = asyncio.get_running_loop()
        answers.append(loop.call_later(0.4, lambda: submit(*arguments, **more)))

    monkeypatch.setattr(parts.router, "submit", slowly)
    report = await measure(RestOptions(url=url, rate=50, seconds=0.4, players=1))
    assert report.read.requests + report.write.requests == 20
    assert min(report.read.p50_ms, report.write.p50_ms) >= 390


async def test_refusals_are_failures(house: tuple[House, str], monkeypatch: pytest.MonkeyPatch) -> None:
    parts, url = house
    parts.router.state("u_standard")

    def broken(*_, **__) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(parts.router, "submit", broken)
    report = await measure(RestOptions(url=url, rate=50, seconds=0.2, players=1))
    assert not report.ok
    assert report.read.requests == report.write.requests == 0
    assert sum(report.read.failures.values()) + sum(report.write.failures.values()) == 10


@pytest.mark.parametrize(
    "changes", [{"rate": 0}, {"seconds": 0}, {"players": 0}, {"write_share": 2}, {"bots": -1}]
)
def test_options_that_make_no_sense(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        msgspec.structs.replace(RestOptions(url="http://x"), **changes).check()


def test_the_report_says_whether_the_aims_are_met(capsys: pytest.CaptureFixture[str]) -> None:
    good = KindReport(10, 1.0, 2.0, 3.0, 4.0, 20.0, {})
    bad = KindReport(10, 1.0, 50.0, 60.0, 70.0, 40.0, {"503": 2})
    report = RestReport("http://x", 200, 30, 199.0, 0.5, good, bad, 200, 180.0)
    assert not report.meets_aims
    assert not report.ok
    assert RestReport("http://x", 200, 30, 199.0, 0.5, good, good, 0, 0.0).meets_aims
    show(report)
