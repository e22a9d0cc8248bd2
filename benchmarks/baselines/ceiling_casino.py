"""The program behind ``ceiling``: starts the casino's own processes around an actor that does the least.

``python -m benchmarks.baselines.ceiling_casino``, started by ``ceiling``. Owns nothing but the choice of
wiring and settings; how a casino starts and ends is ``deploy.launcher``'s.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from benchmarks.baselines.ceiling_wiring import CeilingWiring
from benchmarks.baselines.serving import end_with_input, free_port, say_ready
from deploy.instance import Instance
from deploy.launcher import Launcher
from deploy.settings import Settings
from deploy.wiring import CasinoWiring


class _CeilingLauncher(Launcher):
    def _wiring(self, dsn: str, redis_url: str) -> CasinoWiring:
        return CeilingWiring(super()._wiring(dsn, redis_url).configuration)


def main() -> None:
    """Serve until SIGTERM, SIGINT, or until whoever started this is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--until-input-ends", action="store_true", help="end when standard input does")
    given = parser.parse_args()
    if given.until_input_ends:
        end_with_input()
    settings = Settings(
        data=given.data / "data",
        ray_temporary=given.data / "ray",
        port=free_port(),
        ray_dashboard_port=free_port(),
        crash_tables=[],
        events_relayed=False,
    )
    launcher = _CeilingLauncher(
        settings,
        Instance(settings.data),
        lambda step: print(step, file=sys.stderr, flush=True),  # noqa: T201
    )
    try:
        asyncio.run(launcher.run(lambda state: say_ready(state.url)))
    finally:
        if given.until_input_ends:
            # Nobody else will, when whoever started this is killed.
            shutil.rmtree(given.data, ignore_errors=True)


if __name__ == "__main__":
    main()
