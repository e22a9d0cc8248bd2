"""Under which system account an embedded server runs, and what that account may reach.

Postgres refuses to run as root. When the launcher is root, its servers run as an unprivileged
account, which needs to get at the programs and at the data directory; nothing else is opened to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pwd
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)

SYSTEM_ACCOUNT = "pgserver"
_SOCKET_PATH_BYTES_MAX = 107


class Account(NamedTuple):
    name: str
    uid: int
    gid: int


class AccountError(RuntimeError):
    """There is no account to run a server as, or a directory is not safe to use."""


def server_account(directory: Path) -> Account | None:
    """The account for servers whose data is in ``directory``; ``None`` means the launcher's own.

    As root: whoever owns the directory already, else a system account made for the purpose.
    """
    if os.geteuid() != 0:
        return None
    if directory.exists() and directory.stat().st_uid != 0:
        owner = pwd.getpwuid(directory.stat().st_uid)
        return Account(owner.pw_name, owner.pw_uid, owner.pw_gid)
    try:
        entry = pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        entry = _create_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create_account() -> pwd.struct_passwd:
    try:
        subprocess.run(  # noqa: S603
            ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", SYSTEM_ACCOUNT],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
        return pwd.getpwnam(SYSTEM_ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        detail = getattr(error, "stderr", None) or error
        raise AccountError(
            f"Postgres does not run as root, and no account for it could be made ({detail}). Create "
            f"the system user {SYSTEM_ACCOUNT!r}, run casino as another user, or give it a Postgres by DSN."
        ) from error


def private_directory(path: Path, account: Account | None) -> None:
    """Make ``path`` a directory that only the account (and root) may enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    uid = account.uid if account else os.geteuid()
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, os.geteuid()):
        raise AccountError(f"{path} is in the way: it must be a directory of uid {uid}. Remove it.")
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o700)


def grant_passage(path: Path, account: Account | None) -> None:
    """Let the account reach ``path``: adds the right to pass through (not to list) each folder above
    it, where it is missing."""
    if account is None:
        return
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH and folder.stat().st_uid != account.uid:
            _log.warning("letting %s pass through %s (chmod o+x)", account.name, folder)
            folder.chmod(mode | stat.S_IXOTH)


def grant_programs(folder: Path, account: Account | None) -> None:
    """Let the account read and run an installation, e.g. one unpacked under a strict umask."""
    if account is None:
        return
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def socket_directory(data: Path, account: Account | None) -> Path:
    """A private directory for the Unix sockets of the instance at ``data``, with a short path: the
    kernel allows 107 bytes, and a data directory may lie deep."""
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    uid = account.uid if account else os.geteuid()
    temporary = Path(tempfile.gettempdir())
    if len(os.fsencode(temporary)) > _SOCKET_PATH_BYTES_MAX - 60:
        temporary = Path("/tmp")  # noqa: S108  (made private below)
    path = temporary / f"casino-{uid}-{digest}"
    private_directory(path, account)
    return path


def remove_socket_directory(path: Path | None) -> None:
    """Tidy up, unless another server of the instance still has its socket there."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.rmdir()
