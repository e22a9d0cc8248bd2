"""The alert rules, by Prometheus's own tool: each fires when it should, and not before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from tests.prometheus.fixtures import given

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "prometheus" / "casino_alerts_test.yml"
RULES = ROOT / "deploy" / "prometheus" / "casino_alerts.yml"


def test_rules_hold_what_their_tests_say() -> None:
    done = subprocess.run(
        [given("promtool"), "test", "rules", str(TESTS)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_without_a_test() -> None:
    rules = {
        rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    }
    fired = {
        case["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    silent = {
        case["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if not case.get("exp_alerts")
    }
    assert rules == fired
    assert rules == silent


def test_the_configuration_is_one() -> None:
    configuration = RULES.with_name("prometheus.yml")
    done = subprocess.run(
        [given("promtool"), "check", "config", str(configuration)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
