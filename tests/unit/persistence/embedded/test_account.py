"""Directories that only the server's account may enter."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from persistence.embedded.account import (
    Account,
    AccountError,
    grant_passage,
    private_directory,
    remove_socket_directory,
    socket_directory,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_directory_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    path.mkdir(parents=True, mode=0o777)
    private_directory(path, None)
    assert mode(path) == 0o700


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AccountError, match="in the way"):
        private_directory(tmp_path / "link", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a stranger's directory")
def test_a_stranger_s_directory_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "sockets"
    path.mkdir()
    os.chown(path, 12345, 12345)
    with pytest.raises(AccountError, match="in the way"):
        private_directory(path, None)


def test_the_socket_path_is_short_however_deep_the_data(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 40)
    one, two = socket_directory(deep, None), socket_directory(tmp_path, None)
    assert one != two
    assert one == socket_directory(deep, None)
    assert len(os.fsencode(one / ".s.PGSQL.5432")) <= 107
    assert mode(one) == 0o700
    for path in (one, two):
        remove_socket_directory(path)
        remove_socket_directory(path)
        assert not path.exists()


def test_a_socket_directory_in_use_stays(tmp_path: Path) -> None:
    path = socket_directory(tmp_path, None)
    (path / "socket").touch()
    remove_socket_directory(path)
    assert path.exists()
    (path / "socket").unlink()
    remove_socket_directory(path)


def test_passage_is_granted_only_through_and_only_where_it_is_missing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    (closed / "open").chmod(0o755)
    grant_passage(closed / "open" / "data", None)
    assert mode(closed) == 0o700
    grant_passage(closed / "open" / "data", Account("somebody", 12345, 12345))
    assert mode(closed) == 0o701
    assert mode(closed / "open") == 0o755
