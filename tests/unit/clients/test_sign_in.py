import httpx
import pytest

from clients.errors import AuthenticationFailed, ConnectionLost, ProtocolViolation
from clients.sign_in import addresses_of, sign_in_guest

ACCOUNT = {"access_token": "T", "token_type": "bearer", "expires_in": 60, "user_id": "u_1"}


@pytest.mark.parametrize(
    ("url", "http", "sync"),
    [
        ("http://h:1", "http://h:1", "ws://h:1/api/realtime/sync"),
        ("https://h/", "https://h", "wss://h/api/realtime/sync"),
        ("ws://h:1/api/realtime/sync", "http://h:1", "ws://h:1/api/realtime/sync"),
        ("wss://h/play", "https://h/play", "wss://h/play/api/realtime/sync"),
        ("h:80", "http://h:80", "ws://h:80/api/realtime/sync"),
    ],
)
def test_addresses(url: str, http: str, sync: str) -> None:
    assert addresses_of(url) == (http, sync)


@pytest.mark.parametrize("url", ["ftp://h", "http://", ""])
def test_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        addresses_of(url)


async def answer(response: httpx.Response | Exception) -> object:
    def handler(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/api/auth/guest")
        if isinstance(response, Exception):
            raise response
        return response

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        return await sign_in_guest("http://h", client)


async def test_a_guest() -> None:
    account = await answer(httpx.Response(201, json=ACCOUNT))
    assert account.user_id == "u_1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(403, text="no guests"), AuthenticationFailed),
        (httpx.Response(429), ConnectionLost),
        (httpx.Response(503), ConnectionLost),
        (httpx.Response(201, json={"access_token": 1}), ProtocolViolation),
        (httpx.Response(201, text="<html>"), ProtocolViolation),
        (httpx.ConnectError("refused"), ConnectionLost),
    ],
)
async def test_refusals(response: httpx.Response | Exception, error: type[Exception]) -> None:
    with pytest.raises(error):
        await answer(response)
