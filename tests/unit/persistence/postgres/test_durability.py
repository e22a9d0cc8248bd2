"""Which settings a server may have."""

from __future__ import annotations

import pytest

from persistence.postgres.durability import NotDurable, check_settings

GOOD = {
    "server_version_num": "150004",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}


def test_a_durable_server_passes() -> None:
    check_settings(GOOD)
    check_settings({**GOOD, "synchronous_commit": "remote_apply"})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("synchronous_commit", "local"),
    ],
)
def test_one_that_is_not_is_told_what_to_change(setting: str, value: str) -> None:
    with pytest.raises(NotDurable) as caught:
        check_settings({**GOOD, setting: value})
    assert caught.value.setting == setting
    assert f"{setting} = {value}" in str(caught.value)
    assert f"ALTER SYSTEM SET {setting} = 'on'" in str(caught.value)


def test_an_old_server_is_refused() -> None:
    with pytest.raises(NotDurable, match="15 or newer"):
        check_settings({**GOOD, "server_version_num": "140012"})
