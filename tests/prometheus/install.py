"""Gets the Prometheus that tests run: the one that is installed, or else Debian's package, unpacked into
``.tools/prometheus`` and not installed. ``python -m tests.prometheus.install``, which ``make test`` does
first; a second run does nothing.

Where it cannot be had it says what is left out, and succeeds: the tests that need it will be skipped. With
``CI=true`` it fails instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools" / "prometheus"
MAJOR = 2
"""Of the version that rules, dashboards and tests are written for. Debian's archive keeps only the latest
package of a release: there is no closer pin that would hold, and its signature vouches for the content."""
PACKAGE = "prometheus"
_PROGRAMS = ("prometheus", "promtool")
_PATIENCE_S = 300


class Missing(Exception):
    """Prometheus cannot be had here. The message says what is missing."""


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def program(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``. Raises :class:`Missing`."""
    found = shutil.which(name)
    if found is not None and _is_good(found):
        return found
    unpacked = TOOLS / "usr" / "bin" / name
    if unpacked.exists():
        return str(unpacked)
    raise Missing(f"there is no {name} {MAJOR}: 'make prometheus' says why")


def install() -> None:
    """Raises :class:`Missing`."""
    try:
        for name in _PROGRAMS:
            program(name)
    except Missing:
        _unpack()


def _unpack() -> None:
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise Missing(f"it is not installed, and without {tool} there is no getting Debian's package")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        # apt drops to a user of its own.
        folder.chmod(0o755)
        if not _download(folder):
            # No lists, or they name a version that the archive has replaced. Only root may fetch them.
            if os.getuid() != 0:
                raise Missing("apt-get cannot download it; 'apt-get update' as root may help")
            _run("apt-get", "update", "-qq")
            if not _download(folder):
                raise Missing("apt-get cannot download Debian's package")
        [package] = folder.glob(f"{PACKAGE}_*.deb")
        unpacked = folder / "unpacked"
        if not _run("dpkg", "-x", str(package), str(unpacked)):
            raise Missing("Debian's package cannot be unpacked")
        if not all(_is_good(str(unpacked / "usr" / "bin" / name)) for name in _PROGRAMS):
            raise Missing(f"Debian's package here is not version {MAJOR}, or does not run on this machine")
        shutil.rmtree(TOOLS, ignore_errors=True)
        TOOLS.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(unpacked, TOOLS)


def _download(folder: Path) -> bool:
    return _run("apt-get", "download", "-qq", PACKAGE, folder=folder)


def _run(*command: str, folder: Path | None = None) -> bool:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _is_good(path: str) -> bool:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.search(rf"version {MAJOR}\.", done.stdout + done.stderr) is not None


def main() -> int:
    try:
        install()
    except Missing as missing:
        print(f"no Prometheus: {missing}")
        print("left out: tests/system/test_metrics.py, tests/system/test_alerts.py")
        return 1 if in_ci() else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
