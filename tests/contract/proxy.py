"""A Unix-socket proxy in front of Postgres that can lose answers, or everything."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Proxy:
    """Passes bytes both ways, until told otherwise."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.drop_answers = False
        """Cut the connection instead of passing on the server's next answer."""
        self.swallow = False
        """Pass nothing any more in either direction, and keep the connection open."""
        self.answers_dropped = asyncio.Event()
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        server_reader, server_writer = await asyncio.open_unix_connection(self._upstream)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
            while data := await source.read(65536):
                if self.swallow:
                    continue
                if answers and self.drop_answers:
                    self.answers_dropped.set()
                    break
                sink.write(data)
            writer.close()
            server_writer.close()

        for task in (
            asyncio.create_task(pump(reader, server_writer, answers=False)),
            asyncio.create_task(pump(server_reader, writer, answers=True)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy, and the DSN that leads through it."""
    folder = parse_qs(urlsplit(dsn).query)["host"][0]
    proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    with tempfile.TemporaryDirectory(prefix="casino-proxy-") as own:
        server = await asyncio.start_unix_server(proxy.serve, Path(own) / ".s.PGSQL.5432")
        try:
            yield proxy, dsn.replace(folder, own)
        finally:
            server.close()
            await proxy.close()
