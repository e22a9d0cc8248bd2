"""``python -m benchmarks.rest``: how fast the REST interface answers, at a rate that does not give way.

An open model: requests begin on a schedule of their own, whether or not earlier ones have been answered,
and each one's time counts from when it was due, so that a server that stands still is not excused by
clients that wait for it. Bots play on sockets meanwhile.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections import Counter
from random import Random
from time import perf_counter
from typing import Annotated, NamedTuple

import httpx
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bots import run_bots
from benchmarks.lean_http import HttpFailure, LeanHttp
from benchmarks.measurements import new_histogram
from benchmarks.report import BotReport
from clients.errors import ClientError
from clients.sign_in import Account, addresses_of, sign_in_guest

READ_P95_AIM_MS = 20.0
WRITE_P95_AIM_MS = 40.0

_WARM_UP_S = 2.0
_SIGN_INS_AT_ONCE = 16
_BOTS_SETTLE_S = 2.0

console = Console()


class RestOptions(msgspec.Struct, kw_only=True, frozen=True):
    """Times are in seconds."""

    url: str
    rate: float = 200.0
    """Requests per second."""
    seconds: float = 30.0
    players: int = 100
    """Guests whose requests these are."""
    write_share: float = 0.5
    bots: int = 0
    bot_think_s: float = 1.0
    """Pause of each bot between an answer and the next command."""
    seed: int | None = None

    def check(self) -> None:
        """Raises ``ValueError`` when the options make no sense."""
        if self.rate <= 0 or self.seconds <= 0 or self.players < 1:
            raise ValueError("rate, seconds and players must be positive")
        if not 0 <= self.write_share <= 1:
            raise ValueError("write_share must be between 0 and 1")
        if self.bots < 0 or self.bot_think_s < 0:
            raise ValueError("bots and their pause must not be negative")


class KindReport(msgspec.Struct):
    """Requests of one kind. Times in milliseconds, from when a request was due to its whole answer."""

    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    aim_p95_ms: float
    failures: dict[str, int]
    """By status, or ``no answer``."""


class RestReport(msgspec.Struct):
    url: str
    rate: float
    seconds: float
    achieved_per_s: float
    """Answers per second, from the first request to the last answer."""
    late_p99_ms: float
    """How late requests began, for which the load generator is to blame. It is part of their times."""
    read: KindReport
    write: KindReport
    bots: int
    bot_commands_per_s: float

    @property
    def ok(self) -> bool:
        return not self.read.failures and not self.write.failures

    @property
    def meets_aims(self) -> bool:
        return all(kind.p95_ms <= kind.aim_p95_ms for kind in (self.read, self.write))


class Request(NamedTuple):
    method: str
    path: str
    body: bytes = b""


READS = (
    Request("GET", "/api/dashboard"),
    Request("GET", "/api/users/profile"),
    Request("GET", "/api/actions/recent/{user_id}"),
)
WRITES = (
    Request("POST", "/api/games/slots/spin", b'{"stake":1}'),
    Request("POST", "/api/actions", b'{"action_type":"benchmark","context":{"tab":"slots"}}'),
)


class _Kind:
    def __init__(self, aim_p95_ms: float) -> None:
        self.times = new_histogram()
        self.failures: Counter[str] = Counter()
        self._aim_p95_ms = aim_p95_ms

    def report(self) -> KindReport:
        p50, p95, p99, highest = (
            round(self.times.get_value_at_percentile(share) / 1000, 2) for share in (50, 95, 99, 100)
        )
        count = self.times.get_total_count()
        if not count:
            p50 = p95 = p99 = highest = 0.0
        return KindReport(count, p50, p95, p99, highest, self._aim_p95_ms, dict(self.failures))


class Schedule:
    """Sends requests when they are due, and measures what comes of them."""

    def __init__(self, options: RestOptions, http: LeanHttp, accounts: list[Account]) -> None:
        self._options = options
        self._http = http
        self._accounts = accounts
        self._random = Random(options.seed)
        self._key = secrets.token_hex(4)
        self._numbers = 0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.read = _Kind(READ_P95_AIM_MS)
        self.write = _Kind(WRITE_P95_AIM_MS)
        self.late = new_histogram()
        self.answered_in_s = 0.0

    async def run(self, seconds: float) -> None:
        """Forgets what earlier runs measured."""
        self._start_afresh()
        under_way: set[asyncio.Task[None]] = set()
        began = perf_counter()
        for number in range(int(seconds * self._options.rate)):
            due = began + number / self._options.rate
            delay = due - perf_counter()
            # Those that are overdue begin at once, but let the answers of others in.
            await asyncio.sleep(max(0.0, delay))
            task = asyncio.create_task(self._one(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        self.answered_in_s = perf_counter() - began

    async def _one(self, due: float) -> None:
        self.late.record_value(max(1, int((perf_counter() - due) * 1e6)))
        account = self._random.choice(self._accounts)
        headers = {"Authorization": f"Bearer {account.access_token}"}
        if self._random.random() < self._options.write_share:
            kind, request = self.write, self._random.choice(WRITES)
            self._numbers += 1
            headers["Idempotency-Key"] = f"{self._key}-{self._numbers}"
        else:
            kind, request = self.read, self._random.choice(READS)
        path = request.path.replace("{user_id}", account.user_id)
        try:
            answer = await self._http.request(request.method, path, headers, request.body)
        except HttpFailure:
            kind.failures["no answer"] += 1
            return
        if answer.status == 200:
            kind.times.record_value(max(1, int((perf_counter() - due) * 1e6)))
        else:
            kind.failures[str(answer.status)] += 1


async def measure(options: RestOptions) -> RestReport:
    """Sign guests up, let the bots play, and measure.

    Raises:
        ClientError: the casino cannot be reached, or takes no guests.
        ValueError: an option makes no sense.
    """
    options.check()
    address = addresses_of(options.url).http
    accounts = await _sign_in(address, options.players)
    async with LeanHttp(address) as http:
        schedule = Schedule(options, http, accounts)
        played: BotReport | None = None
        if options.bots:
            interrupt, playing = asyncio.Event(), asyncio.Event()
            crowd = asyncio.create_task(
                run_bots(
                    options.url,
                    options.bots,
                    3600.0,
                    think_s=options.bot_think_s,
                    interrupt=interrupt,
                    on_progress=lambda progress: playing.set() if progress.elapsed_s > 0 else None,
                )
            )
            waiting = asyncio.create_task(playing.wait())
            await asyncio.wait({crowd, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if crowd.done():
                crowd.result()
            await asyncio.sleep(_BOTS_SETTLE_S)
            try:
                await _warm_and_run(schedule, options.seconds)
            finally:
                interrupt.set()
                played = await crowd
        else:
            await _warm_and_run(schedule, options.seconds)
    answers = schedule.read.times.get_total_count() + schedule.write.times.get_total_count()
    return RestReport(
        url=options.url,
        rate=options.rate,
        seconds=options.seconds,
        achieved_per_s=round(answers / schedule.answered_in_s, 1),
        late_p99_ms=round(schedule.late.get_value_at_percentile(99) / 1000, 2),
        read=schedule.read.report(),
        write=schedule.write.report(),
        bots=options.bots,
        bot_commands_per_s=round(played.commands_per_s, 1) if played is not None else 0.0,
    )


async def _warm_and_run(schedule: Schedule, seconds: float) -> None:
    await schedule.run(min(_WARM_UP_S, seconds))
    await schedule.run(seconds)


async def _sign_in(address: str, players: int) -> list[Account]:
    at_once = asyncio.Semaphore(_SIGN_INS_AT_ONCE)
    async with httpx.AsyncClient(timeout=20.0, trust_env=False) as client:

        async def one() -> Account:
            async with at_once:
                return await sign_in_guest(address, client)

        return await asyncio.gather(*(one() for _ in range(players)))


def show(report: RestReport) -> None:
    """A table for people."""
    table = Table(
        "requests", "count", "p50 ms", "p95 ms", "p99 ms", "max ms", "aim p95", "failed",
        title=f"{report.rate:g} requests/s for {report.seconds:g} s, {report.bots} bots"
        f" ({report.bot_commands_per_s:,.0f} commands/s) beside; {report.achieved_per_s:,.1f} answers/s;"
        f" 99 % begun within {report.late_p99_ms} ms",
    )  # fmt: skip
    for name, kind in (("read", report.read), ("write", report.write)):
        met = "[green]met[/]" if kind.p95_ms <= kind.aim_p95_ms else "[red]missed[/]"
        table.add_row(
            name,
            f"{kind.requests:,}",
            f"{kind.p50_ms:.2f}",
            f"{kind.p95_ms:.2f}",
            f"{kind.p99_ms:.2f}",
            f"{kind.max_ms:.2f}",
            f"{kind.aim_p95_ms:g} {met}",
            ", ".join(f"{code}: {count}" for code, count in kind.failures.items()) or "0",
        )
    console.print(table)


def rest(
    url: Annotated[str, typer.Option(help="Address of the casino.")] = "http://127.0.0.1:8000",
    rate: Annotated[float, typer.Option(help="Requests per second, whatever happens.")] = 200.0,
    seconds: Annotated[float, typer.Option(help="How long.")] = 30.0,
    players: Annotated[int, typer.Option(help="Guests whose requests these are.")] = 100,
    write_share: Annotated[float, typer.Option(help="Share of requests that change something.")] = 0.5,
    bots: Annotated[int, typer.Option(help="Players on sockets meanwhile.")] = 0,
    bot_think: Annotated[float, typer.Option(help="Seconds each of them pauses.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Makes the choice of requests reproducible.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Measure REST latencies. The exit status says whether every request was answered well."""
    options = RestOptions(
        url=url,
        rate=rate,
        seconds=seconds,
        players=players,
        write_share=write_share,
        bots=bots,
        bot_think_s=bot_think,
        seed=seed,
    )
    try:
        report = asyncio.run(measure(options))
    except (ClientError, ValueError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise typer.Exit(2) from None
    if json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    else:
        show(report)
    raise typer.Exit(0 if report.ok else 1)


if __name__ == "__main__":
    typer.run(rest)
