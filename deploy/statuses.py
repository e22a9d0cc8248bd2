"""What all processes say of themselves, as gateways read it. See ``gateway.ports.StatusReader``."""

from __future__ import annotations

from typing import Any

from persistence.status_board import BoardUnavailable, StatusBoard
from runtime.errors import Unavailable


class Statuses:
    def __init__(self, board: StatusBoard) -> None:
        self._board = board

    async def read(self) -> dict[str, dict[str, Any]]:
        try:
            return await self._board.read()
        except BoardUnavailable as error:
            raise Unavailable("the status board cannot be read") from error
