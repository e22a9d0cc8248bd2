"""Where the keys that sign access tokens are kept: a file of the instance, or the environment.

Owns the file, its rotation, and the watch that lets a running gateway notice one. What a key is
used for is ``gateway.key_ring``'s and ``gateway.tokens``' business.

A rotation never needs a restart: the new key is published first, and signs ``SETTLE_S`` later, when
every gateway has read it; the old one goes on verifying until its last token has expired.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from deploy.settings import Settings
from gateway.key_ring import KEY_BYTES_MIN, KeyRing
from gateway.tokens import LEEWAY_S
from runtime.clock import Clock

_log = logging.getLogger(__name__)

FILE_NAME = "signing-keys.json"
SETTLE_S = 5.0
"""From the publication of a key to its first signature."""
POLL_S = 1.0


class KeyFileError(Exception):
    """The file cannot be read, or is not what it has to be. The message never shows a key."""


class SigningKey(msgspec.Struct):
    """Times in ms since the Unix epoch."""

    kid: str
    key: str
    """Hex."""
    created_ms: int
    signs_from_ms: int
    verifies_until_ms: int | None = None
    """None until it has a successor."""

    def __repr__(self) -> str:
        return f"SigningKey({self.kid})"


def keys_at(keys: Sequence[SigningKey], now_ms: int) -> tuple[dict[str, bytes], str]:
    """What verifies at that moment, and the kid that signs: the newest whose time has come."""
    verifying = [key for key in keys if key.verifies_until_ms is None or now_ms < key.verifies_until_ms]
    if not verifying:
        raise KeyFileError("every signing key has been retired")
    begun = [key for key in verifying if key.signs_from_ms <= now_ms]
    active = max(begun, key=lambda key: key.signs_from_ms) if begun else verifying[0]
    return {key.kid: bytes.fromhex(key.key) for key in verifying}, active.kid


def given_keys(settings: Settings) -> dict[str, str]:
    """Keys that came with the environment, as hex by kid, the one that signs first; none means that the
    file counts."""
    if settings.signing_keys:
        return {kid: key.get_secret_value() for kid, key in settings.signing_keys.items()}
    return {"1": settings.signing_key.get_secret_value()} if settings.signing_key else {}


class KeyFile:
    """A JSON list of keys, oldest first, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[SigningKey]:
        """Raises :class:`KeyFileError`."""
        try:
            keys = msgspec.json.decode(self.path.read_bytes(), type=list[SigningKey])
            sound = all(len(bytes.fromhex(key.key)) >= KEY_BYTES_MIN and key.kid for key in keys)
        except OSError as error:
            raise KeyFileError(f"{self.path}: {error.strerror}") from None
        except (msgspec.MsgspecError, ValueError):
            sound, keys = False, []
        if not sound or not keys or len({key.kid for key in keys}) < len(keys):
            raise KeyFileError(f"{self.path} is no list of signing keys")
        return keys

    def prepare(self, now_ms: int) -> None:
        """Make the file with one key, unless there is one. Raises :class:`KeyFileError`."""
        with self._locked():
            if not self.path.exists():
                self._write([_new_key(now_ms, now_ms)])
        self.read()

    def rotate(self, now_ms: int, lifetime_s: int, *, drop_old: bool = False) -> SigningKey:
        """Add a key that will sign, and set the end of all others: when the last token that they can
        have signed has expired, after ``lifetime_s``.

        ``drop_old``: because somebody else may know them, remove the others at once. All tokens are
        void then; whoever has a refresh token gets a new one.

        Raises:
            KeyFileError: there is no such file, or it is unsound.
        """
        with self._locked():
            keys = self.read()
            signs_from_ms = now_ms if drop_old else now_ms + int(1000 * SETTLE_S)
            new = _new_key(now_ms, signs_from_ms)
            until_ms = signs_from_ms + 1000 * (lifetime_s + LEEWAY_S) + int(1000 * SETTLE_S)
            kept = []
            for key in () if drop_old else keys:
                if key.verifies_until_ms is None:
                    key.verifies_until_ms = until_ms
                if now_ms < key.verifies_until_ms:
                    kept.append(key)
            self._write([*kept, new])
            return new

    def _write(self, keys: list[SigningKey]) -> None:
        partial = self.path.with_name(f"{self.path.name}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(keys)))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two operators at once must not lose a key."""
        path = self.path.with_name(f"{self.path.name}.lock")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _new_key(now_ms: int, signs_from_ms: int) -> SigningKey:
    kid = f"{now_ms // 1000:x}-{secrets.token_hex(2)}"
    return SigningKey(kid, secrets.token_hex(KEY_BYTES_MIN), now_ms, signs_from_ms)


def given_ring(keys: Mapping[str, str]) -> KeyRing:
    """The ring of keys that were given by the environment, as hex by kid; the first one signs.

    Raises:
        KeyFileError: one of them is no key.
    """
    try:
        return KeyRing({kid: bytes.fromhex(key) for kid, key in keys.items()}, next(iter(keys)))
    except (ValueError, StopIteration):
        raise KeyFileError(
            "CASINO_SIGNING_KEYS has to be a JSON object of kids and keys, each key at least "
            f"{2 * KEY_BYTES_MIN} hexadecimal characters"
        ) from None


class WatchedRing:
    """A ring that follows its file. Once the file cannot be read, it keeps what it had."""

    def __init__(self, file: KeyFile, clock: Clock, poll_s: float = POLL_S) -> None:
        """Raises :class:`KeyFileError`."""
        self._file = file
        self._clock = clock
        self._poll_s = poll_s
        self._task: asyncio.Task[None] | None = None
        self.ring = KeyRing(*keys_at(file.read(), clock.now_ms()))

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="key-ring")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def look(self) -> None:
        """Read the file again. Keys come and go by the clock, too, so always take what it says now."""
        signed_with, _ = self.ring.active
        try:
            keys = await asyncio.to_thread(self._file.read)
            self.ring.replace(*keys_at(keys, self._clock.now_ms()))
        except KeyFileError as error:
            _log.warning("signing keys not read", extra={"reason": str(error)})
        except Exception:
            # A watch that has died would miss the rotation that an emergency needs.
            _log.exception("signing keys could not be read")
        if self.ring.active[0] != signed_with:
            _log.info("another signing key", extra={"kid": self.ring.active[0]})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self.look()
