"""The status board, as gateways see it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from deploy.statuses import Statuses
from persistence.status_board import BoardUnavailable, StatusBoard
from runtime.errors import Unavailable


class FakeBoard:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def read(self) -> dict[str, dict[str, Any]]:
        if self._error is not None:
            raise self._error
        return {"gateway-0": {"connections": 1}}


async def test_statuses() -> None:
    assert await Statuses(cast(StatusBoard, FakeBoard())).read() == {"gateway-0": {"connections": 1}}


async def test_an_absent_board_is_a_reason_to_ask_again() -> None:
    board = FakeBoard(BoardUnavailable("connection to 10.0.0.7 refused"))
    with pytest.raises(Unavailable) as caught:
        await Statuses(cast(StatusBoard, board)).read()
    assert caught.value.retryable
    assert "10.0.0.7" not in caught.value.message
