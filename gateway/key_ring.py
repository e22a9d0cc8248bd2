"""The keys that sign access tokens, by ``kid``: one signs, all of them verify.

Owns the set at hand and its replacement while tokens are being issued. Where keys are kept, and
when they change, is the wiring's business.
"""

from __future__ import annotations

from collections.abc import Mapping

KEY_BYTES_MIN = 32


class KeyRing:
    def __init__(self, keys: Mapping[str, bytes], active_kid: str) -> None:
        """Raises ``ValueError`` for a missing active key or one of fewer than 32 bytes."""
        self.replace(keys, active_kid)

    def replace(self, keys: Mapping[str, bytes], active_kid: str) -> None:
        """Take these keys from now on. Raises as the constructor, and then keeps what it had."""
        if active_kid not in keys:
            raise ValueError(f"no key with the active kid {active_kid!r}")
        for kid, key in keys.items():
            if len(key) < KEY_BYTES_MIN:
                raise ValueError(f"key {kid!r} has {len(key)} bytes; at least {KEY_BYTES_MIN} are needed")
        self._keys = dict(keys)
        self._active_kid = active_kid

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)}; {self._active_kid} signs)"

    @property
    def active(self) -> tuple[str, bytes]:
        """The kid and the key that sign."""
        return self._active_kid, self._keys[self._active_kid]

    def key(self, kid: str) -> bytes | None:
        """The key to verify with; None for one that is not ours (any more)."""
        return self._keys.get(kid)
