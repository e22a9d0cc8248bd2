"""What a comparison knows of a server that the casino is compared with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from benchmarks.load.target import Target


class Baseline(NamedTuple):
    name: str
    summary: str
    """For the reader: what it is, and what the comparison with it says."""
    started: Callable[[], AbstractAsyncContextManager[Target]]
    """Starts it for one run; when the context ends, its processes and its data are gone."""
