"""A database whose answers get lost."""

import asyncio


class ReplyDropper:
    """A proxy in front of Postgres that now and then swallows a reply and hangs up: the commit
    happened, and nobody is told."""

    def __init__(self, upstream: str, path: str) -> None:
        self._upstream, self._path = upstream, path
        self._count = 0
        self.dropped = 0

    async def __aenter__(self) -> "ReplyDropper":
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, replies: bool) -> None:
            while data := await source.read(65536):
                if replies and self._is_to_drop():
                    self.dropped += 1
                    break
                sink.write(data)
                await sink.drain()
            for end in (writer, up_writer):
                end.close()

        await asyncio.gather(
            pump(reader, up_writer, False), pump(up_reader, writer, True), return_exceptions=True
        )

    def _is_to_drop(self) -> bool:
        self._count += 1
        return self._count > 200 and self._count % 150 == 0
