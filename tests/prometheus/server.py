"""A real Prometheus as a child of the tests, and its HTTP API."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

_READY_TIMEOUT_S = 60.0


class PrometheusServer:
    """Started with a configuration file, on a port of loopback. Use it as a context."""

    def __init__(self, program: str, configuration: Path, data: Path, port: int) -> None:
        self._command = [
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        self._log = data.with_suffix(".log")
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT)

        def is_ready() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            try:
                return self._client.get("/-/ready").status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(is_ready, _READY_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped, each with its labels, its health and its last error."""
        found: list[dict[str, Any]] = self._get("/api/v1/targets", state="active")["activeTargets"]
        return found

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression, as series with their ``metric`` and ``value``."""
        found: list[dict[str, Any]] = self._get("/api/v1/query", query=expression)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The alert rules as Prometheus has loaded them, each with its health and its last error."""
        groups: list[dict[str, Any]] = self._get("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _get(self, path: str, **parameters: Any) -> Any:
        response = self._client.get(path, params=parameters)
        answer = response.json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]


def wait_for(holds: Callable[[], bool], deadline_s: float, step_s: float = 0.25) -> None:
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(step_s)
