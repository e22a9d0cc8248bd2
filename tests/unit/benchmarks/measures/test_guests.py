import asyncio
from collections import Counter
from pathlib import Path

import jwt
import pytest

from benchmarks.load.target import Target
from benchmarks.measures.guests import GuestCasino, played, registered
from benchmarks.measures.server import MeasureFailed

KEY = b"k" * 32


class Door:
    """Answers every request with what it is told to, in turn."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.heads: list[str] = []

    async def __aenter__(self) -> GuestCasino:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return GuestCasino(Target(url=f"http://127.0.0.1:{port}", name="a door"), KEY)

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(len(b'{"stake":1}'))
            self.heads.append(head)
            status = self.statuses.pop(0) if self.statuses else 200
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        writer.close()

    def players(self) -> Counter[str]:
        tokens = [head.partition("Bearer ")[2].partition("\r\n")[0] for head in self.heads]
        return Counter(jwt.decode(token, KEY, ["HS256"])["sub"] for token in tokens)


async def test_each_plays_once() -> None:
    door, said = Door(), list[str]()
    async with door as casino:
        await played(casino, [f"u_{number}" for number in range(100)], said.append)
    assert door.players() == {f"u_{number}": 1 for number in range(100)}
    assert said[-1].startswith("sessions: 100 more")


async def test_what_may_pass_is_tried_again_under_the_same_key() -> None:
    door = Door(503, 429)
    async with door as casino:
        await played(casino, ["u_a"], lambda line: None)
    assert door.players() == {"u_a": 3}
    assert len({head.partition("Idempotency-Key")[2] for head in door.heads}) == 1


async def test_a_refusal_ends_it_all() -> None:
    async with Door(200, 403) as casino:
        with pytest.raises(MeasureFailed, match="could not play: HTTP 403"):
            await played(casino, ["u_a", "u_b"], lambda line: None)


async def test_nobody_has_nothing_to_play() -> None:
    async with Door() as casino:
        await played(casino, [], lambda line: None)


async def test_no_database_is_no_accounts(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(f'{{"dsn": "postgresql://casino@/casino?host={tmp_path}"}}')
    target = Target(url="http://127.0.0.1:9", name="x", data=tmp_path)
    with pytest.raises(MeasureFailed, match="no accounts could be made"):
        await registered(GuestCasino(target, KEY), 1)
