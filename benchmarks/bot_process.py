"""One process of bots: ``python -m benchmarks.bot_process``, driven by ``troupe`` over its stdin.

Owns the line protocol's far end: the options as JSON first, then ``gather``, ``play``, ``status``
and ``stop`` (and ``mute``, for watchers); each is answered with one line of JSON. The end of stdin
ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import msgspec
import uvloop

from benchmarks.crash.crowd import CrashCrowd
from benchmarks.crash.watchers import WatcherCrowd
from benchmarks.crowd import Crowd, SignUpFailed
from benchmarks.load.generator import Load
from benchmarks.options import AnyOptions, BotOptions, CrashOptions, LoadOptions, WatchOptions
from benchmarks.scenarios.catalogue import SCENARIOS


def main() -> None:
    """Serve until stdin ends."""
    uvloop.run(_serve())


def crowd_of(options: BotOptions) -> Crowd | Load:
    """The kind of crowd that these options are for."""
    match options:
        case LoadOptions():
            return SCENARIOS[options.scenario].load(options)
        case WatchOptions():
            return WatcherCrowd(options)
        case CrashOptions():
            return CrashCrowd(options)
        case _:
            return Crowd(options)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    options: BotOptions = msgspec.json.decode(await orders.readline(), type=AnyOptions)
    async with crowd_of(options) as crowd:
        _answer(b'""')
        while order := (await orders.readline()).strip():
            _answer(await _obey(crowd, order))


async def _obey(crowd: Crowd | Load, order: bytes) -> bytes:
    match order:
        case b"gather":
            try:
                await crowd.gather()
            except SignUpFailed as error:
                return msgspec.json.encode(str(error))
            # What lives now lives for the whole run: keep the collector from walking it.
            gc.collect()
            gc.freeze()
            return b'""'
        case b"play":
            crowd.play()
            return b'""'
        case b"mute" if isinstance(crowd, WatcherCrowd):
            await crowd.mute()
            return b'""'
        case b"status":
            return msgspec.json.encode(crowd.status())
        case b"stop":
            await crowd.stop()
            return msgspec.json.encode(crowd.result())
        case _:
            raise ValueError(f"no such order: {order!r}")


def _answer(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
