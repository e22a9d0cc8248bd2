"""Hashing of passwords: Argon2id, a few at a time, and no more waiting than can be served.

Owns cost and concurrency. A hash takes tens of milliseconds of a core by design, so that whoever
may cause hashes without bound owns the machine. Usernames and lockouts are not its business.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

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
    """Hashes and verifies in threads, at most one a core; ``waiting_max`` more may wait for one."""

    def __init__(self, cost: Cost | None = None, threads: int | None = None, waiting_max: int = 64) -> None:
        cost = cost or Cost()
        threads = threads or os.cpu_count() or 1
        hasher = Argon2Hasher(time_cost=cost.iterations, memory_cost=cost.memory_kib, parallelism=cost.lanes)
        self._hash = PasswordHash((hasher,))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._jobs_max = threads + waiting_max
        self._jobs = 0
        # Nobody's password. What it is compared with takes as long as a real one would.
        self._nobodys = self._hash.hash(secrets.token_urlsafe())

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Raises ``runtime.errors.Overloaded`` when too many wait already."""
        return await self._in_thread(lambda: self._hash.hash(_normal(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is the one that was hashed. Without a hash, because there is no such
        user, it is the same work, and False.

        Raises ``runtime.errors.Overloaded`` when too many wait already.
        """
        return await self._in_thread(lambda: self._verify(password, password_hash))

    def _verify(self, password: str, password_hash: str | None) -> bool:
        try:
            is_right = self._hash.verify(_normal(password), password_hash or self._nobodys)
        except PwdlibError:
            return False
        return is_right and password_hash is not None

    def check_room(self) -> None:
        """Raises ``runtime.errors.Overloaded`` when too many wait already."""
        if self._jobs >= self._jobs_max:
            raise Overloaded("too many passwords are being checked")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        self.check_room()
        self._jobs += 1
        job = asyncio.get_running_loop().run_in_executor(self._threads, work)
        job.add_done_callback(self._ended)
        # Whoever hangs up meanwhile does not free the thread, and must not seem to.
        return await asyncio.shield(job)

    def _ended(self, job: asyncio.Future[T]) -> None:
        self._jobs -= 1
        if not job.cancelled():
            job.exception()


def _normal(password: str) -> str:
    # The same letters typed on another keyboard may be other code points.
    return unicodedata.normalize("NFC", password)
