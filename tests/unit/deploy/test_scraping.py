"""Where Prometheus finds everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.scraping import (
    announce,
    follow_ray,
    metrics_port,
    prepare_scraping,
    scraping_in,
    targets_in,
    withdraw,
)


def found(data: Path) -> dict[str, list[str]]:
    """What a Prometheus would read, as targets by process."""
    return {
        entry["labels"]["process"]: entry["targets"]
        for path in targets_in(data).glob("*.json")
        for entry in json.loads(path.read_text())
    }


def test_processes_come_and_go(tmp_path: Path) -> None:
    prepare_scraping(tmp_path)
    announce(targets_in(tmp_path), "gateway-0", "127.0.0.1", 9100)
    announce(targets_in(tmp_path), "gateway-1", "::1", 9101)
    announce(targets_in(tmp_path), "gateway-0", "127.0.0.1", 9200)
    assert found(tmp_path) == {"gateway-0": ["127.0.0.1:9200"], "gateway-1": ["[::1]:9101"]}
    withdraw(targets_in(tmp_path), "gateway-0")
    withdraw(targets_in(tmp_path), "gateway-0")
    assert found(tmp_path).keys() == {"gateway-1"}


def test_whoever_listens_everywhere_is_found_by_the_name_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "casino-7")
    announce(targets_in(tmp_path), "gateway-0", "0.0.0.0", 9100)
    assert found(tmp_path) == {"gateway-0": ["casino-7:9100"]}


def test_a_start_forgets_the_targets_of_the_last_one(tmp_path: Path) -> None:
    for _ in range(2):
        prepare_scraping(tmp_path)
        assert found(tmp_path) == {}
        announce(targets_in(tmp_path), "gateway-0", "127.0.0.1", 9100)
        follow_ray(tmp_path, tmp_path / "ray")
    assert {path.name for path in scraping_in(tmp_path).iterdir()} == {
        "prometheus.yml", "casino_alerts.yml", "targets", "ray.json",
    }  # fmt: skip


def test_rays_list_is_read_where_ray_keeps_it(tmp_path: Path) -> None:
    prepare_scraping(tmp_path)
    follow_ray(tmp_path, tmp_path)
    (tmp_path / "prom_metrics_service_discovery.json").write_text("[]")
    assert (scraping_in(tmp_path) / "ray.json").read_text() == "[]"


def test_ports() -> None:
    assert metrics_port(None, "gateway-3") == 0
    assert metrics_port(9100, "gateway-3") == 9103
