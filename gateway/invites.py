"""Invite codes: what they look like, and what is stored of them.

Owns letters and digests only. How often a code may be used is the database's business.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

CODE_CHARS_MAX = 64
_CODE_BYTES = 10
_GROUP = 4


def invite_code(key: bytes, by: str, command_id: str) -> str:
    """80 bits in groups of four letters and digits, such as ``7QK2-…``: always the same code for the
    same request, so that it can be told again when the reply was lost. ``key`` is the house's."""
    digest = hmac.digest(key, f"invite\0{by}\0{command_id}".encode(), "sha256")
    letters = base64.b32encode(digest[:_CODE_BYTES]).decode()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def invite_hash(code: str) -> bytes:
    """Of the code as somebody typed it: case, blanks and hyphens do not matter."""
    return hashlib.sha256(code.upper().replace("-", "").replace(" ", "").encode()).digest()
