"""A baseline's server as a program of its own: when it begins, when it ends, and what it leaves.

Owns the command line, the signals and the line ``ready URL``. ``child`` is the other end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import uvloop


class Arguments(NamedTuple):
    data: Path
    workers: int | None
    """Processes that serve, where there is a choice; None is the server's own."""
    connections: int | None
    """To Postgres; None likewise."""


Serving = Callable[[Arguments], AbstractAsyncContextManager[str]]
"""Yields the URL while it serves."""

LOOPBACK = "127.0.0.1"
_BACKLOG = 4096


def run(serving: Serving) -> None:
    """Serve until SIGTERM, SIGINT, or (``--until-input-ends``) until whoever started this is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="where to keep data; left out, it goes with the server")
    parser.add_argument("--workers", type=int, help="processes that serve, where there is a choice")
    parser.add_argument("--connections", type=int, help="connections to Postgres, likewise")
    parser.add_argument("--until-input-ends", action="store_true", help="end when standard input does")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        data = given.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="casino-baseline-")))
        if given.until_input_ends:
            # Nobody else will, when whoever started this is killed.
            stack.callback(shutil.rmtree, data, ignore_errors=True)
        uvloop.run(_serve(serving, Arguments(data, given.workers, given.connections), given.until_input_ends))


async def _serve(serving: Serving, arguments: Arguments, until_input_ends: bool) -> None:
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        async with serving(arguments) as url:
            say_ready(url)
            await asyncio.Event().wait()

    work = asyncio.create_task(serve())
    is_told = False

    def end() -> None:
        # Once only: a second cancellation would interrupt the tidying up of the first.
        nonlocal is_told
        if not is_told:
            is_told = True
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    if until_input_ends:
        end_with_input()
    with contextlib.suppress(asyncio.CancelledError):
        await work


def say_ready(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


def end_with_input() -> None:
    """When standard input ends, whoever started this process has ended: do as if told to."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="input").start()


def listening(port: int = 0) -> socket.socket:
    """A socket that several processes may have at the same port, each with its share of connections."""
    # The protocol is spelled out, or asyncio leaves Nagle's algorithm on.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((LOOPBACK, port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
