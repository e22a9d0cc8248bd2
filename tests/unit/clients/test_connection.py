import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from clients.connection import Interrupted, end_of
from clients.errors import AuthenticationFailed, ConnectionLost


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4408, 4413])
def test_most_ends_are_worth_another_try(code: int) -> None:
    assert isinstance(end_of(ConnectionClosedError(Close(code, ""), None)), Interrupted)


def test_a_connection_that_just_broke_is_worth_another_try() -> None:
    assert isinstance(end_of(ConnectionClosedError(None, None)), Interrupted)


def test_final_ends() -> None:
    refused = end_of(ConnectionClosedError(Close(4401, "token_expired"), None))
    assert isinstance(refused, AuthenticationFailed)
    assert refused.code == "token_expired"
    banned = end_of(ConnectionClosedError(Close(4403, "banned"), None))
    assert isinstance(banned, AuthenticationFailed)
    assert banned.code == "banned"
    assert isinstance(end_of(ConnectionClosedError(Close(4409, "too many"), None)), ConnectionLost)
