"""Gets the Kafka that tests run: jars by Maven, each checked against its SHA-256 sum, and a Java to run
them. ``python -m tests.kafka.install``, which ``make test`` does first; a second run does nothing.

Where it cannot be had it says what is missing, and succeeds: the tests that need it will be skipped. With
``CI=true`` it fails instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
JARS = Path(os.environ.get("CASINO_KAFKA_JARS") or HERE.parents[1] / ".tools" / "kafka").absolute()
_STAMP = JARS / ".verified"
_JAVA_MIN = 17


class Missing(Exception):
    """The broker cannot be had here. The message says what is missing."""


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def java() -> str:
    """Path of a Java that is new enough. Raises :class:`Missing`."""
    found = shutil.which(
        "java", path=f"{os.environ.get('JAVA_HOME', '')}/bin{os.pathsep}{os.environ['PATH']}"
    )
    if found is None:
        raise Missing(f"there is no Java here; Kafka needs {_JAVA_MIN} or later")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA_MIN:
        raise Missing(f"{found} is not Java {_JAVA_MIN} or later")
    return found


def check_installed() -> None:
    """Raises :class:`Missing` unless the broker can be started."""
    if not _is_complete():
        raise Missing(f"Kafka is not in {JARS}: run `make kafka`")
    java()


def install() -> None:
    """Raises :class:`Missing`."""
    if not _has_java() or not (_is_complete() or shutil.which("mvn")):
        _install_java()
    java()
    if _is_complete():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing("there is no Maven (mvn) here to get Kafka with")
    JARS.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS.parent, prefix="kafka-") as temporary:
        fetched = Path(temporary) / "jars"
        print(f"getting Apache Kafka into {JARS} (once)", flush=True)
        command = [maven, "--batch-mode", "--quiet", "--file", str(HERE / "pom.xml")]
        _run([*command, "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"])
        _verify(fetched)
        (fetched / _STAMP.name).write_text(_wanted())
        shutil.rmtree(JARS, ignore_errors=True)
        fetched.rename(JARS)


def _has_java() -> bool:
    try:
        java()
    except Missing:
        return False
    return True


def _is_complete() -> bool:
    return _STAMP.exists() and _STAMP.read_text() == _wanted()


def _wanted() -> str:
    return hashlib.sha256((HERE / "jars.sha256").read_bytes()).hexdigest()


def _verify(fetched: Path) -> None:
    sums = dict(reversed(line.split()) for line in (HERE / "jars.sha256").read_text().splitlines())
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in fetched.iterdir()}
    astray = sorted(name for name in sums.keys() | found.keys() if sums.get(name) != found.get(name))
    if astray:
        raise SystemExit(f"these jars are not what jars.sha256 says: {', '.join(astray)}")


def _install_java() -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Missing(f"Java {_JAVA_MIN} and Maven are not here, and can only be installed by root with apt")
    _run([apt, "update", "-qq"])
    _run([apt, "install", "-qq", "--yes", "--no-install-recommends", "default-jre-headless", "maven"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise Missing(f"`{' '.join(command)}` failed:\n{output}")


if __name__ == "__main__":
    try:
        install()
    except Missing as missing:
        print(f"No Kafka: {missing}\nThe tests that need a broker are left out.", file=sys.stderr)
        sys.exit(1 if in_ci() else 0)
