"""Where Prometheus finds everything: ``DIR/prometheus`` of the data directory.

It holds a configuration to start Prometheus with as it stands, the alert rules, and a file per process
that has metrics, which comes and goes with the process. Prometheus notices by itself.
"""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

SHIPPED = Path(__file__).with_name("prometheus")
CONFIGURATION = "prometheus.yml"
ALERTS = "casino_alerts.yml"

_RAYS_LIST = "prom_metrics_service_discovery.json"
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104


def scraping_in(data: Path) -> Path:
    return data / "prometheus"


def targets_in(data: Path) -> Path:
    return scraping_in(data) / "targets"


def prepare_scraping(data: Path) -> None:
    """Lay the directory out anew, without the targets of an earlier run."""
    shutil.rmtree(scraping_in(data), ignore_errors=True)
    targets_in(data).mkdir(parents=True)
    for name in (CONFIGURATION, ALERTS):
        shutil.copyfile(SHIPPED / name, scraping_in(data) / name)


def follow_ray(data: Path, ray_temporary: Path) -> None:
    """Ray keeps a list of its own endpoints, which move with every start."""
    (scraping_in(data) / "ray.json").symlink_to(ray_temporary / _RAYS_LIST)


def announce(targets: Path, process: str, host: str, port: int) -> None:
    """Tell Prometheus where the metrics of a process are."""
    host = socket.gethostname() if host in _WILDCARDS else host
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    targets.mkdir(parents=True, exist_ok=True)
    partial = targets / f".{process}.partial"
    partial.write_text(json.dumps([{"targets": [address], "labels": {"process": process}}]))
    partial.replace(targets / f"{process}.json")


def withdraw(targets: Path, process: str) -> None:
    """The process has ended in order. After a crash the target stays, and is seen to be down."""
    (targets / f"{process}.json").unlink(missing_ok=True)


def metrics_port(base: int | None, process: str) -> int:
    """The port of a gateway's metrics; 0, for any, where there is no base."""
    return 0 if base is None else base + int(process.rpartition("-")[2])
