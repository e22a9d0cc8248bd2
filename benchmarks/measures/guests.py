"""Many guests in little time: accounts in a casino of the run's own, and a command from each.

Owns the short cut that makes a hundred thousand of them affordable. A sign-up over the protocol costs the
server about as much as two commands and leaves rows behind, but nothing in a session; so accounts are
copied into the run's own database, and their tokens are signed here, with a key that this casino was
started with. The commands that make sessions resident come over HTTP, as from any client.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic, time
from typing import NamedTuple

import asyncpg
import jwt

from benchmarks.lean_http import HttpFailure, LeanHttp
from benchmarks.load.target import Target, own_casino
from benchmarks.measures.server import MeasureFailed, dsn_of
from clients.sign_in import addresses_of

Report = Callable[[str], None]
"""Takes a line for a person about what is going on."""

_TOKEN_LIFETIME_S = 24 * 3600
_PASSIVATE_AFTER_S = 24 * 3600
_COPY_ROWS = 20_000
_PARALLEL = 48
"""Enough to fill the batches of a commit, and few enough to leave no peak in the server's memory."""
_TRIES_MAX = 8
_REPORT_S = 5.0
_SPIN = ("POST", "/api/games/slots/spin", b'{"stake":1}')


class Guest(NamedTuple):
    user_id: str
    token: str
    """Good for a day."""


class GuestCasino(NamedTuple):
    """A casino that knows the key which guests' tokens are signed with."""

    target: Target
    key: bytes

    def guest(self, user_id: str) -> Guest:
        """Somebody with an account, and the token to play with it."""
        now_s = int(time())
        claims = {
            "sub": user_id,
            "typ": "access",
            "role": "STANDARD",
            "iat": now_s,
            "exp": now_s + _TOKEN_LIFETIME_S,
        }
        return Guest(user_id, jwt.encode(claims, self.key, "HS256", headers={"kid": "1"}))


@asynccontextmanager
async def guest_casino(environment: Mapping[str, str] | None = None) -> AsyncIterator[GuestCasino]:
    """A casino of the run's own in which sessions stay resident; else as ``own_casino``.

    Raises:
        TargetError: it did not start.
    """
    key = secrets.token_bytes(32)
    given = {
        "CASINO_SIGNING_KEY": key.hex(),
        "CASINO_ACCESS_TOKEN_LIFETIME_S": str(_TOKEN_LIFETIME_S),
        "CASINO_PASSIVATE_AFTER_S": str(_PASSIVATE_AFTER_S),
    }
    async with own_casino(given | dict(environment or {})) as target:
        # A key has no place among the settings that results show.
        target.settings.pop("CASINO_SIGNING_KEY", None)
        yield GuestCasino(target, key)


async def registered(casino: GuestCasino, count: int) -> list[str]:
    """Make so many accounts of guests by SQL; returns their user ids.

    Raises:
        MeasureFailed: the run's database refused them.
    """
    user_ids = [_new_user_id() for _ in range(count)]
    try:
        connection = await asyncpg.connect(dsn_of(casino.target))
        try:
            for rows in _pages(user_ids, _COPY_ROWS):
                await connection.copy_records_to_table(
                    "accounts", columns=["user_id", "kind"], records=[(user_id, "guest") for user_id in rows]
                )
        finally:
            await connection.close()
    except (asyncpg.PostgresError, OSError) as error:
        raise MeasureFailed(f"no accounts could be made in the run's own database: {error}") from error
    return user_ids


async def played(
    casino: GuestCasino, user_ids: Sequence[str], report: Report, what: str = "sessions"
) -> None:
    """A spin from each, over REST, so that their sessions are resident and have something in them.

    Raises:
        MeasureFailed: one of them was refused, or the server does not answer.
    """
    began_s = told_s = monotonic()
    done = 0
    left = iter(user_ids)

    async def play(http: LeanHttp) -> None:
        nonlocal done, told_s
        for user_id in left:
            await _spin(http, casino.guest(user_id))
            done += 1
            now_s = monotonic()
            if now_s - told_s >= _REPORT_S:
                told_s = now_s
                report(f"{what}: {done:,} of {len(user_ids):,}, {done / (now_s - began_s):,.0f}/s")

    try:
        async with LeanHttp(addresses_of(casino.target.url).http) as http, asyncio.TaskGroup() as players:
            for _ in range(min(_PARALLEL, len(user_ids))):
                players.create_task(play(http))
    except ExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
    report(f"{what}: {done:,} more in {monotonic() - began_s:,.1f} s")


async def _spin(http: LeanHttp, guest: Guest) -> None:
    method, path, body = _SPIN
    headers = {"Authorization": f"Bearer {guest.token}", "Idempotency-Key": "first-spin"}
    trouble = ""
    for attempt in range(_TRIES_MAX):
        try:
            answer = await http.request(method, path, headers, body)
        except HttpFailure as error:
            trouble = str(error)
        else:
            if answer.status == 200:
                return
            trouble = f"HTTP {answer.status} {answer.body[:200].decode(errors='replace')}"
            if answer.status < 500 and answer.status != 429:
                break
        # The same key again: it may have happened.
        await asyncio.sleep(0.1 * 2**attempt)
    raise MeasureFailed(f"a guest could not play: {trouble}")


def _new_user_id() -> str:
    return "u_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def _pages(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
