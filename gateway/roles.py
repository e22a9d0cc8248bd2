"""What an account may be: the four roles, as they stand in tokens and in the database."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    STANDARD = "STANDARD"
    PREMIUM = "PREMIUM"
    VIP = "VIP"
    ADMIN = "ADMIN"
