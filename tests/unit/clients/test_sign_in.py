import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from clients import sign_in
from clients.errors import AuthenticationFailed, ConnectionLost, ProtocolViolation
from clients.sign_in import Account, addresses_of, log_in, refresh, sign_in_guest

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


PAIR = {**ACCOUNT, "refresh_token": "R", "role": "VIP"}
Ask = Callable[[httpx.AsyncClient], Awaitable[Account]]


async def answer(ask: Ask, response: httpx.Response | Exception) -> tuple[Account, httpx.Request]:
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(response, Exception):
            raise response
        return response

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        account = await ask(client)
    return account, asked[0]


def guest(client: httpx.AsyncClient) -> Awaitable[Account]:
    return sign_in_guest("http://h", client)


def by_password(client: httpx.AsyncClient) -> Awaitable[Account]:
    return log_in("http://h", "ann", "pw", client)


def by_refresh_token(client: httpx.AsyncClient) -> Awaitable[Account]:
    return refresh("http://h", "R", client)


async def test_a_guest() -> None:
    account, request = await answer(guest, httpx.Response(201, json=PAIR))
    assert account == Account("T", "bearer", 60, "u_1", "R", "VIP")
    assert (request.method, request.url.path, request.content) == ("POST", "/api/auth/guest", b"")


async def test_a_server_without_refresh_tokens() -> None:
    account, _ = await answer(guest, httpx.Response(201, json=ACCOUNT))
    assert (account.refresh_token, account.role) == (None, "STANDARD")


@pytest.mark.parametrize(
    ("ask", "path", "body"),
    [
        (by_password, "/api/auth/login", {"username": "ann", "password": "pw"}),
        (by_refresh_token, "/api/auth/refresh", {"refresh_token": "R"}),
    ],
)
async def test_requests(ask: Ask, path: str, body: dict[str, str]) -> None:
    account, request = await answer(ask, httpx.Response(200, json=PAIR))
    assert account.refresh_token == "R"
    assert (request.method, request.url.path, json.loads(request.content)) == ("POST", path, body)


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "why", "title": "", "status": status})


@pytest.mark.parametrize("ask", [guest, by_password, by_refresh_token])
@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(403, text="no guests"), AuthenticationFailed),
        (problem(401, "refresh_reused"), AuthenticationFailed),
        (problem(429, "login_locked"), AuthenticationFailed),
        (problem(429, "rate_limited"), ConnectionLost),
        (httpx.Response(429), ConnectionLost),
        (problem(503, "overloaded"), ConnectionLost),
        (httpx.Response(201, json={"access_token": 1}), ProtocolViolation),
        (httpx.Response(201, text="<html>"), ProtocolViolation),
        (httpx.ConnectError("refused"), ConnectionLost),
    ],
)
async def test_refusals(ask: Ask, response: httpx.Response | Exception, error: type[Exception]) -> None:
    with pytest.raises(error):
        await answer(ask, response)


async def test_a_refusal_says_why() -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await answer(by_password, problem(401, "wrong_credentials"))
    assert (caught.value.code, caught.value.message) == ("wrong_credentials", "why")


class Answers:
    """To one request after the other; None: never."""

    def __init__(self, *answers: httpx.Response | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content)["refresh_token"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        assert answer is not None
        return answer

    async def refresh(self) -> Account:
        async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as client:
            return await refresh("http://h", "R", client)


@pytest.mark.parametrize("lost", [None, httpx.ReadTimeout("slow"), httpx.ReadError("reset")])
async def test_a_refresh_without_an_answer_is_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch, lost: Exception | None
) -> None:
    monkeypatch.setattr(sign_in, "REFRESH_TIMEOUT_S", 0.05)
    answers = Answers(lost, httpx.Response(200, json=PAIR))
    assert (await answers.refresh()).refresh_token == "R"
    assert answers.asked == ["R", "R"]


async def test_but_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "REFRESH_TIMEOUT_S", 0.05)
    answers = Answers(None, None)
    with pytest.raises(ConnectionLost):
        await answers.refresh()
    assert answers.asked == ["R", "R"]


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_an_answer_is_an_answer(status: int) -> None:
    answers = Answers(httpx.Response(status))
    with pytest.raises((ConnectionLost, AuthenticationFailed)):
        await answers.refresh()
    assert answers.asked == ["R"]


def test_both_together_are_within_the_servers_grace() -> None:
    assert 2 * sign_in.REFRESH_TIMEOUT_S < 10
