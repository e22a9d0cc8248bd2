"""What a run of bots is asked to do. Data only: it crosses the process boundary as JSON."""

from __future__ import annotations

from typing import Union

import msgspec

from benchmarks.load.schedule import Stage


class BotOptions(msgspec.Struct, kw_only=True, frozen=True, tag="slots", tag_field="game"):
    """Players of slots. Times are in seconds. Bounds are checked by :meth:`check`."""

    url: str
    players: int
    depth: int = 1
    """Commands each player keeps in flight."""
    stake: int = 1
    machine: str | None = None
    think_s: float = 0.0
    """Pause between an answer and the next command; 0 is the full closed loop."""
    resume_every_s: float | None = None
    """Each player loses its connection about this often, and resumes."""
    sign_up_parallel: int = 16
    sign_ups_per_s: float | None = None
    """Stay below a server's limit on sign-ups per address; None is as fast as it goes."""
    sign_up_timeout_s: float = 120.0
    answer_timeout_s: float = 10.0
    """A command unanswered for this long is sent again on the same connection."""
    drain_s: float = 15.0
    """After the end, how long to wait for the answers still due."""
    seed: int | None = None
    """Makes the players' choices reproducible (not their timing)."""
    log: str | None = None
    """Where acknowledged commands are written; see ``command_log``."""

    def check(self) -> None:
        """Raises ``ValueError`` when the options make no sense."""
        for name in ("players", "depth", "stake", "sign_up_parallel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("think_s", "drain_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("resume_every_s", "sign_ups_per_s", "answer_timeout_s", "sign_up_timeout_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive")


class CrashOptions(BotOptions, kw_only=True, frozen=True, tag="crash"):
    """Players of Crash, one command in flight each; stakes and pauses are their strategies'."""

    table: str = "main"
    rounds: int | None = None
    """Bet in so many rounds, and be done when the last has ended. None: until the end of the run."""
    drain_s: float = 180.0
    """A round may take minutes, and bets are awaited that were made in it."""
    silence_s: float = 60.0
    """With ``rounds``: give up when the table has said nothing for so long."""

    def check(self) -> None:
        super().check()
        if not self.table:
            raise ValueError("table must be a name")
        if self.rounds is not None and self.rounds < 1:
            raise ValueError("rounds must be at least 1")
        if self.silence_s <= 0:
            raise ValueError("silence_s must be positive")


class WatchOptions(BotOptions, kw_only=True, frozen=True, tag="watch"):
    """``players`` connections that only listen to a table."""

    table: str = "main"
    connections_per_guest: int = 10
    """They share guests, so that not every one needs a session. Servers bound this."""
    connect_parallel: int = 64
    """Opening handshakes at the same time."""
    bare: bool = False
    """The server is ``bare_broadcast``: it knows neither guests nor subscriptions."""

    def check(self) -> None:
        super().check()
        if not self.table:
            raise ValueError("table must be a name")
        for name in ("connections_per_guest", "connect_parallel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


class LoadOptions(BotOptions, kw_only=True, frozen=True, tag="load"):
    """One generator process's part of a scenario. ``players`` are its connections."""

    scenario: str
    """A name in ``scenarios.catalogue``."""
    stages: tuple[Stage, ...] = ()
    """Of all processes together, the warm-up included. Empty in a closed loop, and for scenarios whose
    pace is the server's."""
    poisson: bool = False
    process: int = 0
    processes: int = 1
    warm_up_s: float = 0.0
    measured_s: float
    in_flight_max: int = 20_000
    """Arrivals that find so many unanswered fail as ``dropped``: the server has fallen far behind."""
    table: str = "main"
    connections_per_guest: int = 10
    """For connections that only listen."""
    bare: bool = False
    """The server broadcasts to whoever connects: it knows neither guests nor subscriptions."""

    @property
    def is_closed(self) -> bool:
        """Whether each connection has one command in flight, and the next follows its answer."""
        return not self.stages

    def check(self) -> None:
        super().check()
        if self.measured_s <= 0 or self.warm_up_s < 0 or self.in_flight_max < 1:
            raise ValueError("measured_s and in_flight_max must be positive, warm_up_s not negative")


AnyOptions = Union[BotOptions, CrashOptions, WatchOptions, LoadOptions]
