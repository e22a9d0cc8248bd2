"""While a round of Crash runs, how it will end is known to one process alone. This looks everywhere else:
the database, the logs, what players were sent, and the memory of every process of the casino."""

import asyncio
import base64
import os
import time
from array import array
from collections.abc import Iterable, Iterator
from mmap import PAGESIZE
from pathlib import Path
from typing import IO, Any, NamedTuple

import asyncpg
import httpx
import msgspec
import psutil
import pytest
from websockets.asyncio.client import connect

from actors.games.crash import elapsed_until_above
from clients import CasinoClient
from clients.protocol import SUBPROTOCOL, Frame, Protocol, decode_frame
from tests.system.arena import Arena, running
from tests.system.rigged_chains import SHORT, fates, rig

pytestmark = pytest.mark.system

TABLES = '[{"name":"main","betting_s":1.0,"pause_s":0.5}]'
LATE = (400, 480)
"""A round of 23 to 26 seconds: time enough to look."""

_OTHERS = "all others"


def forms_of(secret: bytes) -> list[bytes]:
    """How a hash may stand somewhere."""
    encoded = base64.b64encode(secret)
    return [
        secret,
        secret[::-1],
        secret.hex().encode(),
        secret.hex().upper().encode(),
        encoded.rstrip(b"="),
        encoded.rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_")),
    ]


def forms_of_time(at_ms: int) -> list[bytes]:
    """How a moment in ms may stand somewhere: as an integer of a machine, of MessagePack or of Python,
    and in digits."""
    digits = (at_ms & 0x3FFFFFFF).to_bytes(4, "little") + (at_ms >> 30).to_bytes(4, "little")
    return [at_ms.to_bytes(8, "little"), at_ms.to_bytes(8, "big"), digits, str(at_ms).encode()]


class Searched(NamedTuple):
    size: int
    found: int


class Search:
    """Looks for any of these forms. Memory that processes share is read once."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        self._forms = list(forms)
        self._shared: set[tuple[str, str]] = set()

    def in_bytes(self, data: bytes) -> Searched:
        return Searched(len(data), sum(data.count(form) for form in self._forms))

    def in_memory(self, process: psutil.Process) -> Searched:
        """Whatever a process can both read and write."""
        read = found = 0
        with open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
            for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
                span, mode, _, device, inode = line.split()[:5]
                if not mode.startswith("rw") or (mode.endswith("s") and (device, inode) in self._shared):
                    continue
                if mode.endswith("s"):
                    self._shared.add((device, inode))
                for piece in _pieces(process, memory, *(int(address, 16) for address in span.split("-"))):
                    read += len(piece)
                    found += self.in_bytes(piece).found
        return Searched(read, found)


def _pieces(process: psutil.Process, memory: IO[bytes], at: int, end: int) -> Iterator[bytes]:
    """The pages of a mapping that were ever touched, neighbours together. Most never were: a process
    reserves gigabytes."""
    with open(f"/proc/{process.pid}/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(at // PAGESIZE * 8)
        pages = array("Q", pagemap.read((end - at) // PAGESIZE * 8))
    start = None
    for number, page in enumerate([*pages, 0]):
        is_there = bool(page >> 62)  # in memory, or swapped out
        if is_there and start is None:
            start = number
        elif not is_there and start is not None:
            try:
                memory.seek(at + start * PAGESIZE)
                yield memory.read((number - start) * PAGESIZE)
            except OSError:
                return  # the kernel's own, such as a device
            start = None


async def dump(dsn: str) -> bytes:
    """Every table, as ``COPY`` writes it: binary, and as text, in which ``bytea`` is hexadecimal."""
    parts: list[bytes] = []

    async def collect(data: bytes) -> None:
        parts.append(bytes(data))

    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        assert {"journal", "snapshots", "outbox", "crash_chain_checkpoints"} <= {row[0] for row in tables}
        for row in tables:
            for form in ("binary", "text"):
                await connection.copy_from_table(row[0], output=collect, format=form)
    finally:
        await connection.close()
    return b"".join(parts)


def files_of(arena: Arena) -> list[Path]:
    """What the casino and Ray write to disk: logs, state, sockets' neighbours. Not the database's own
    files, which a dump reads better, and not the secrets, among which is the key."""
    own = [
        path
        for path in arena.data.rglob("*")
        if path.is_file() and not {"postgres", "secrets"} & set(path.relative_to(arena.data).parts)
    ]
    ray = [path for path in arena.instance.runtime.rglob("*") if path.is_file()]
    return [*own, *ray, arena.log]


class Eavesdropper:
    """A subscriber that keeps every frame as it came."""

    def __init__(self, arena: Arena, token: str) -> None:
        self._url = f"ws{arena.url.removeprefix('http')}/api/realtime/sync"
        self._token = token
        self.frames: list[bytes] = []
        self._events: list[Frame] = []

    async def listen(self) -> None:
        protocol = Protocol()
        async with connect(self._url, subprotocols=[SUBPROTOCOL], max_size=None) as socket:  # type: ignore[list-item]
            await socket.send(protocol.authenticate(self._token))
            await socket.send(protocol.command("subscribe", {"topic": "crash/main"}, "s"))
            async for frame in socket:
                assert isinstance(frame, bytes)
                self.frames.append(frame)
                self._events.append(decode_frame(frame))

    def told(self, name: str, number: int | None) -> dict[str, Any] | None:
        """The event of that name of that round, once it has come."""
        for event in self._events:
            if event.type == name and number in (None, event.data.get("round")):
                return event.data
        return None


@pytest.fixture
def casino(data: Path) -> Iterator[Arena]:
    # The hash of a chain's last round is its last checkpoint, which its table holds as it stands. Here
    # that is every other round.
    asyncio.run(rig(data, {"main": [[SHORT, LATE]] * 10}))
    with running(data, CASINO_CRASH_TABLES=TABLES) as arena:
        yield arena


async def test_nobody_but_the_table_knows_how_a_running_round_ends(casino: Arena) -> None:
    async with CasinoClient.connect(casino.url, guest=True) as player:
        ear = Eavesdropper(casino, str(player.token))
        pages = b""
        listening = asyncio.create_task(ear.listen())
        number = (await _told(ear, "crash_state"))["round"] // 2 * 2 + 2
        fate = (await fates(casino.data, casino.dsn, "main", [number]))[number]
        await _told(ear, "crash_betting_opened", number)
        await player.place_crash_bet(10, auto_cash_out=1.5)
        started_ms = (await _told(ear, "crash_started", number))["started_ms"]
        ends_ms = started_ms + elapsed_until_above(fate.crash_point)
        secret = Search([*forms_of(fate.hash), *forms_of_time(ends_ms)])
        # Some ticks and an automatic cash-out, so that there is something to hear and to journal.
        await asyncio.sleep(1.0)
        async with httpx.AsyncClient(base_url=casino.url, trust_env=False) as web:
            for path in ("/metrics", "/healthz", "/readyz", "/api/games/crash/history",
                         "/api/games/crash/fairness", "/openapi.json"):  # fmt: skip
                pages += (await web.get(path)).content
        searched = await _search(casino, secret, ends_ms, b"".join(ear.frames), pages)
        done_ms = time.time_ns() // 10**6
        print(
            f"\nsearched within {(done_ms - started_ms) / 1000:.1f} of {(ends_ms - started_ms) / 1000:.1f} s:"
        )
        for where, (size, found) in searched.items():
            print(f"  {where}: {size / 2**20:.1f} MiB, {found} times")
        assert done_ms < ends_ms, "the round was over before the search was: it proves nothing"
        assert ear.told("crash_crashed", number) is None
        assert searched.pop("crash-main").found > 0, "not even where it must be: the search proves nothing"
        assert {where: found for where, (_, found) in searched.items() if found} == {}
        end = await _told(ear, "crash_crashed", number)
        listening.cancel()
    assert end["hash"] == fate.hash.hex()
    assert round(float(str(end["crash_point"])) * 100) == fate.crash_point
    assert secret.in_bytes(await dump(casino.dsn)).found, "the end of the round is in the journal"


async def _search(
    casino: Arena, secret: Search, ends_ms: int, heard: bytes, pages: bytes
) -> dict[str, Searched]:
    found = {"subscriber": secret.in_bytes(heard), "web pages": secret.in_bytes(pages)}
    found["database"] = secret.in_bytes(await dump(casino.dsn))
    files = [secret.in_bytes(path.read_bytes()) for path in files_of(casino)]
    found["files"] = Searched(sum(each.size for each in files), sum(each.found for each in files))
    processes = _processes(casino)
    names = {name for name, _ in processes}
    assert {"crash-main", "coordinator", "gateway", "session-host-0", "session-host-1", "up"} <= names
    for name, process in processes:
        if name == _OTHERS and time.time_ns() // 10**6 > ends_ms - 3000:
            break  # on a slow machine: those that have nothing to do with the game come last
        try:
            memory = await asyncio.to_thread(secret.in_memory, process)
        except PermissionError as error:
            pytest.skip(f"this kernel does not let a test read the memory of another process: {error}")
        except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
            continue  # a worker of Ray's or of Postgres's that had nothing to do
        before = found.get(name, Searched(0, 0))
        found[name] = Searched(before.size + memory.size, before.found + memory.found)
    return found


def _processes(casino: Arena) -> list[tuple[str, psutil.Process]]:
    """Every process of the casino, the ones that matter most first."""
    known = {process.pid: "crash-main" for process in casino.hosts("crash-main")}
    for number in (0, 1):
        known |= {process.pid: f"session-host-{number}" for process in casino.hosts(f"session-host-{number}")}
    known |= {process.pid: "gateway" for process in casino.actors("Gateway")}
    known |= {process.pid: "coordinator" for process in casino.actors("Coordinator")}
    assert casino.process is not None
    known[casino.process.pid] = "up"
    rest = [process for process in casino.processes() if process.pid not in known]
    return [
        *((name, psutil.Process(pid)) for pid, name in known.items()),
        *((_OTHERS, process) for process in rest),
    ]


async def _told(ear: Eavesdropper, name: str, number: int | None = None) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (event := ear.told(name, number)) is None:
            await asyncio.sleep(0.02)
    return event


def test_the_search_finds_what_it_looks_for() -> None:
    secret, at_ms = os.urandom(32), 1_790_000_000_123
    search = Search([*forms_of(secret), *forms_of_time(at_ms)])
    for form in (*forms_of(secret), *forms_of_time(at_ms), msgspec.msgpack.encode({"at_ms": at_ms})):
        assert search.in_bytes(b"before" + form + b"after").found
    assert not search.in_bytes(os.urandom(100_000)).found
    kept = bytearray(secret)
    assert Search([bytes(kept)]).in_memory(psutil.Process()).found > 0
