"""``rest``: the same casino through its other door, reads and writes mixed."""

from __future__ import annotations

import asyncio
import secrets
from random import Random
from typing import NamedTuple

from benchmarks.lean_http import HttpFailure, LeanHttp
from benchmarks.load.generator import Load, LoadCrowd
from benchmarks.options import LoadOptions
from benchmarks.player import Player
from benchmarks.scenarios.scenario import Scenario
from clients.token_keeper import TokenKeeper

_WRITE_SHARE = 0.5


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


class RestLoad(Load):
    """Guests' requests, over as many connections as there are requests under way."""

    def __init__(self, options: LoadOptions) -> None:
        self._guests: LoadCrowd[Player] = LoadCrowd(options, self._nobody)
        super().__init__(options, self._guests)
        self._http = LeanHttp(self._guests.http_url)
        self._accounts: list[TokenKeeper] = []
        self._random = Random(options.seed)
        self._key = secrets.token_hex(4)
        self._numbers = 0
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *exception: object) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._http.__aexit__(None, None, None)
        await super().__aexit__(*exception)

    @property
    def connections(self) -> int:
        return len(self._under_way)

    async def gather(self) -> None:
        self._accounts = await asyncio.gather(*(self._guests.sign_up() for _ in range(self.options.players)))

    def arrive(self, intended_ns: int) -> None:
        task = asyncio.create_task(self._one(intended_ns))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        await super().stop()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self.options.drain_s)

    async def _one(self, intended_ns: int) -> None:
        tokens = self._random.choice(self._accounts)
        headers = {"Authorization": f"Bearer {await tokens.current()}"}
        if self._random.random() < _WRITE_SHARE:
            kind, request = "write", self._random.choice(WRITES)
            self._numbers += 1
            headers["Idempotency-Key"] = f"{self._key}-{self._numbers}"
        else:
            kind, request = "read", self._random.choice(READS)
        path = request.path.replace("{user_id}", tokens.user_id or "")
        try:
            answer = await self._http.request(request.method, path, headers, request.body)
        except HttpFailure:
            self.failed("no_answer", intended_ns)
            return
        if answer.status == 200:
            self.answered(kind, intended_ns)
        else:
            self.failed(f"{kind}:{answer.status}", intended_ns)

    def _nobody(self, crowd: LoadCrowd[Player], tokens: TokenKeeper, id_prefix: str) -> Player:
        raise NotImplementedError("these guests open no sockets")


SCENARIO = Scenario(
    name="rest",
    summary="REST requests, half of them reads and half durable writes",
    measured="One request is a read (dashboard, profile, recent actions) or a write (a spin or a logged "
    "action, each durable and under an Idempotency-Key of its own) by a signed-in guest over HTTP/1.1. Its "
    "latency runs until the whole answer has arrived.",
    load=RestLoad,
    kinds=("read", "write"),
    crowd="by {:,} guests",
    arrival="requests",
    connections=100,
    rate=200.0,
)
