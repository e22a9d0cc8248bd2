"""A player of the least sort, for servers that speak the subset of the protocol that a spin needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.load.target import Target
from clients.protocol import SUBPROTOCOL, Authenticated, Event, Failure, Happening, Protocol, Result
from clients.sign_in import Account, addresses_of, sign_in_guest


class Spinner:
    """Sends a frame, and waits for what it comes to."""

    def __init__(self, socket: ClientConnection, protocol: Protocol, account: Account) -> None:
        self.account = account
        self._socket = socket
        self._protocol = protocol

    async def ask(self, name: str, data: dict[str, object], command_id: str) -> Happening:
        await self._socket.send(self._protocol.command(name, data, command_id))
        return await answer(self._socket, self._protocol)

    async def spin(self, command_id: str, stake: int = 1) -> Result:
        happening = await self.ask("spin_slots", {"stake": stake}, command_id)
        assert isinstance(happening, Result), happening
        assert happening.id == command_id
        return happening

    async def refused(self, name: str, data: dict[str, object], command_id: str = "refused") -> Failure:
        happening = await self.ask(name, data, command_id)
        assert isinstance(happening, Failure), happening
        assert happening.id == command_id
        return happening


async def answer(socket: ClientConnection, protocol: Protocol) -> Happening:
    """The next frame that is no event: some servers tell those, too."""
    while isinstance(happening := protocol.receive(await socket.recv()), Event):
        pass
    return happening


@asynccontextmanager
async def connected(target: Target, account: Account | None = None) -> AsyncIterator[Spinner]:
    """A new guest, or another connection of one."""
    addresses = addresses_of(target.url)
    account = account or await sign_in_guest(addresses.http)
    protocol = Protocol()
    async with connect(addresses.sync, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        await socket.send(protocol.authenticate(account.access_token))
        assert await answer(socket, protocol) == Authenticated()
        yield Spinner(socket, protocol, account)
