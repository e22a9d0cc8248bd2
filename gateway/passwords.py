"""Hashing of passwords: Argon2id, a few at a time, and no more waiting than can be served.

Owns cost and concurrency. A hash takes tens of milliseconds of a core by design, so that whoever
may cause hashes without bound owns the machine. Usernames and lockouts are not its business.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from runtime.errors import Overloaded

T = TypeVar("T")


class Cost(NamedTuple):
    """OWASP's recommendation for Argon2id (Password Storage Cheat Sheet)."""

    memory_kib: int = 19 * 1024
    iterations: int = 2
    lanes: int = 1


class Passwords:
    """Hashes and verifies in threads, at most one a core, for as many as have a place: one for each
    thread, and ``waiting_max`` more. With the defaults the last of them waits a few seconds for a core."""

    def __init__(self, cost: Cost | None = None, threads: int | None = None, waiting_max: int = 256) -> None:
        cost = cost or Cost()
        threads = threads or os.cpu_count() or 1
        hasher = Argon2Hasher(time_cost=cost.iterations, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self.hasher = PasswordHash((hasher,))
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._places_max = threads + waiting_max
        self._places = 0
        # Nobody's password. What it is compared with takes as long as a real one would.
        self.nobodys = self.hasher.hash(secrets.token_urlsafe())

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Room for hashing one thing after another, from before the first question is asked until the
        last hash has ended, even when nobody waits for it any more.

        Raises ``runtime.errors.Overloaded`` when all places are taken.
        """
        if self._places >= self._places_max:
            raise Overloaded("too many passwords are being checked")
        self._places += 1
        place = Place(self)
        try:
            yield place
        finally:
            # Whoever hangs up does not free the thread, and must not seem to.
            place.when_idle(self._leave)

    def _leave(self) -> None:
        self._places -= 1

    async def hash(self, password: str) -> str:
        """Raises ``runtime.errors.Overloaded`` when all places are taken."""
        with self.place() as place:
            return await place.hash(password)


class Place:
    """See ``Passwords.place``."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._job: asyncio.Future[Any] | None = None

    async def hash(self, password: str) -> str:
        hasher = self._passwords.hasher
        return await self._in_thread(lambda: hasher.hash(_normal(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is the one that was hashed. Without a hash, because there is no such
        user, it is the same work, and False."""
        return await self._in_thread(lambda: self._verify(password, password_hash))

    def _verify(self, password: str, password_hash: str | None) -> bool:
        known = self._passwords
        try:
            is_right = known.hasher.verify(_normal(password), password_hash or known.nobodys)
        except PwdlibError:
            return False
        return is_right and password_hash is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        job = asyncio.get_running_loop().run_in_executor(self._passwords.threads, work)
        self._job = job
        return await asyncio.shield(job)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call when no hash is under way: now, or later."""
        job = self._job
        if job is None or job.done():
            call()
            return

        def ended(job: asyncio.Future[Any]) -> None:
            if not job.cancelled():
                job.exception()
            call()

        job.add_done_callback(ended)


def _normal(password: str) -> str:
    # The same letters typed on another keyboard may be other code points.
    return unicodedata.normalize("NFC", password)
