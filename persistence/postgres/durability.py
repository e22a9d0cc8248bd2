"""The check at boot that Postgres keeps what it acknowledges. Reads settings; changes none."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

VERSION_MIN = 15
REQUIRED: Mapping[str, frozenset[str]] = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "remote_apply"}),
}
_CONNECT_TIMEOUT_S = 10.0


class NotDurable(RuntimeError):
    """The server could lose acknowledged commands. The message names the setting and the remedy."""

    def __init__(self, setting: str, value: str, remedy: str) -> None:
        super().__init__(setting, value, remedy)
        self.setting = setting
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        return f"Postgres has {self.setting} = {self.value}. {self.remedy}"


def check_settings(settings: Mapping[str, str]) -> None:
    """Raise :class:`NotDurable` for the first of the server's settings that will not do."""
    version = int(settings["server_version_num"]) // 10_000
    if version < VERSION_MIN:
        raise NotDurable(
            "server_version",
            str(version),
            f"Casino needs Postgres {VERSION_MIN} or newer: upgrade the server.",
        )
    for setting, allowed in REQUIRED.items():
        if settings[setting] not in allowed:
            raise NotDurable(
                setting,
                settings[setting],
                "An acknowledged command could be lost, so casino does not start. As a superuser:"
                f" ALTER SYSTEM SET {setting} = 'on'; SELECT pg_reload_conf();"
                " and look for overrides by ALTER ROLE and ALTER DATABASE (\\drds in psql).",
            )


async def check_durability(dsn: str) -> None:
    """Connect and check. Raises :class:`NotDurable`, or what the driver raises."""
    names = ["server_version_num", *REQUIRED]
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        rows = await connection.fetch(
            "SELECT name, current_setting(name) FROM unnest($1::text[]) AS name", names
        )
    finally:
        await connection.close()
    check_settings({row["name"]: row["current_setting"] for row in rows})
