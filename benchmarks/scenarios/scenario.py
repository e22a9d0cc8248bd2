"""What a scenario is, for the command line, the run and the page. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from benchmarks.load.generator import Load
from benchmarks.options import LoadOptions


class Figure(NamedTuple):
    """A number that only this scenario has. ``merge``: what several processes' become one by."""

    name: str
    unit: str
    meaning: str
    merge: Literal["sum", "max"] = "sum"


class Observation(NamedTuple):
    """What was seen of the server's processes from outside, by their role."""

    connections: int
    answers: int
    memory_before: Mapping[str, int]
    """Private bytes when everything was ready and the load had not begun."""
    memory_after: Mapping[str, int]
    """The same at the end of the load, before anybody left."""
    cpu_s: Mapping[str, float]
    """CPU seconds in the measured time."""
    idle_cpu_share: float | None
    """Of the scenarios that hold connections: cores used by the server once all were open."""


class Scenario(NamedTuple):
    """Times are in seconds. ``rate`` is the default, per second; None for a scenario whose pace is its
    own, and which takes no rate."""

    name: str
    summary: str
    """One line, for the command line."""
    measured: str
    """What exactly a latency is here, for a reader who knows nothing of the project."""
    load: Callable[[LoadOptions], Load]
    kinds: tuple[str, ...]
    arrival: str
    """What arrives, in the plural: ``commands``."""
    connections: int
    crowd: str = "over {:,} connections"
    """What the number of connections means."""
    operations: str | None = None
    """What is counted, where an arrival is more than one: ``operations``."""
    rate: float | None = None
    can_be_closed: bool = False
    duration_s: float = 30.0
    warm_up_s: float = 3.0
    drain_s: float = 15.0
    holds: bool = False
    """Arrivals are connections, which are opened at the rate and then held for the duration."""
    figures: tuple[Figure, ...] = ()
    conclude: Callable[[Observation], dict[str, float]] | None = None
    """Figures that follow from what was seen of the server; not called when it cannot be seen."""
    thresholds: tuple[str, ...] = ("error_rate<0.001", "lost==0")
    """Hold unless others are given."""

    @property
    def counted(self) -> str:
        """What a latency and an answer are of, in the plural."""
        return self.operations or self.arrival
