"""Prometheus's programs for tests, or the reason why there are none."""

from __future__ import annotations

import pytest

from tests.prometheus.install import Missing, in_ci, program


def given(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``; skips the test where there is none, and fails it in CI."""
    try:
        return program(name)
    except Missing as missing:
        if in_ci():
            pytest.fail(f"no Prometheus: {missing}")
        pytest.skip(f"no Prometheus: {missing}")
