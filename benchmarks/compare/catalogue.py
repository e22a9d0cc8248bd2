"""Every row, in the order in which they are measured, with its target; and the servers they need.

Rows that need the same servers stand together, so that each is started once.
"""

from __future__ import annotations

from benchmarks.baselines.catalogue import BASELINES
from benchmarks.compare import alone, density, fan_out, spins
from benchmarks.compare.pairing import P99, RATE
from benchmarks.compare.result import Aim
from benchmarks.compare.row import Sizes, Spec
from benchmarks.compare.servers import CASINO, Servers
from benchmarks.load.target import own_casino

_START_S = 13.0
_AROUND_A_SLICE_S = 4.0
"""Starting a generator, signing its players up, waiting for the last answers."""
_REST_S, _SESSION_S = 21.0, 0.0008
"""Until a server has come to rest, and until one more session has played."""

_SPIN = (
    "One command is one spin of a slot machine, answered only when it is committed to disk. {} players each "
    "wait for an answer before their next spin (a closed loop); the same load generator plays against both. "
    "Both servers stay started, only one is under load at a time, and short turns alternate (A B, B A, "
    "A B …), so that what else the machine does is for neither. A ratio is taken within each pair of "
    "turns; shown is the median, and in parentheses the least and the greatest."
)
_ROWLOCK = (
    "rowlock: how one would write it first. FastAPI, WebSockets and Postgres, each action a transaction that "
    "locks the player's row."
)


def _memory_seconds(sizes: Sizes) -> float:
    # Empty, after each number of sessions, after connections, after subscriptions.
    looks = 3 + len(sizes.memory_sessions)
    return (
        _START_S
        + _REST_S * looks
        + max(sizes.memory_sessions) * _SESSION_S
        + sizes.memory_connections / 1_000
    )


def _growth_seconds(sizes: Sizes) -> float:
    casinos = len(sizes.growth_residents)
    turns = casinos * sizes.growth_rounds * (sizes.growth_s + _AROUND_A_SLICE_S + 2)
    return casinos * (_START_S + _REST_S) + turns + sum(sizes.growth_residents) * _SESSION_S


def _slices_seconds(sizes: Sizes) -> float:
    return 2 * sizes.pairs * (sizes.slice_s + sizes.warm_up_s + _AROUND_A_SLICE_S)


SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(
            "spin-500",
            "Durable spins, 500 players",
            _SPIN.format("500"),
            _ROWLOCK,
            (Aim(spins.SPINS, "≥", 6.0, "×"), Aim(spins.SLOWEST, "≤", 1 / 6, "×")),
            spins.paired_spins(CASINO, "rowlock", 500, {spins.SPINS: RATE, spins.SLOWEST: P99}),
            lambda sizes: 2 * _START_S + _slices_seconds(sizes),
            (CASINO, "rowlock"),
            (CASINO, "rowlock"),
        ),
        Spec(
            "spin-32",
            "Durable spins, 32 players",
            _SPIN.format("32"),
            _ROWLOCK,
            (Aim(spins.SPINS, "≥", 3.0, "×"), Aim(spins.SLOWEST, "≤", 1 / 3, "×")),
            spins.paired_spins(CASINO, "rowlock", 32, {spins.SPINS: RATE, spins.SLOWEST: P99}),
            _slices_seconds,
            (CASINO, "rowlock"),
            (CASINO, "rowlock"),
        ),
        Spec(
            "ceiling",
            "Durable spins beside the most this design could do",
            _SPIN.format("500"),
            "ceiling: the casino's own path from socket to disk (gateway, host, one commit for many "
            "commands) with an actor that only counts: no game, no ledger, nothing told besides the answer.",
            (Aim(spins.SPINS, "≥", 0.7, "×"),),
            spins.paired_spins(CASINO, "ceiling", 500, {spins.SPINS: RATE}),
            lambda sizes: _START_S + _slices_seconds(sizes),
            (CASINO, "ceiling"),
            (CASINO, "ceiling"),
        ),
        Spec(
            "broadcast",
            "Broadcast to many listeners",
            "Many connections listen to one table of the game Crash, which tells all of them ten times "
            "a second how the round goes. A table never tells more often, so what is compared is how "
            "many deliveries the gateway makes per second of its CPU time; the two take turns, with the "
            "same listeners.",
            f"{fan_out.BARE}: a loop that writes one frame of the same size to every socket as fast as "
            "it can, and knows neither players nor tables.",
            (Aim(fan_out.DELIVERIES, "≥", 0.6, "×"),),
            fan_out.broadcasts,
            lambda sizes: sizes.broadcast_rounds * (15 + 3 * sizes.broadcast_s),
            (CASINO,),
            (CASINO, fan_out.BARE),
        ),
        Spec(
            "memory",
            "What a player costs while nothing happens",
            "The private memory of the casino's processes, before and after sessions were activated, "
            "connections opened and tables subscribed to; each difference is divided by their number.",
            "fixed bounds: 4 KiB is about one page of memory, 25 KiB a socket with its buffers.",
            (Aim(alone.SESSION, "≤", 4.0, "KiB"), Aim(alone.CONNECTION, "≤", 25.0, "KiB")),
            alone.memory_row,
            _memory_seconds,
        ),
        Spec(
            "dedicated",
            "Sessions in a GiB of memory",
            "The private memory of all of a server's processes, before and after more players came in; the "
            "difference is divided by their number.",
            "dedicated: one process (an actor of Ray) for each player's session, the obvious use of Ray.",
            (Aim(density.PER_GIB, "≥", 1_000.0, "×"),),
            density.density,
            lambda sizes: _START_S + 20 + 2 * sizes.dedicated_sessions,
            (density.DEDICATED,),
        ),
        Spec(
            "round-trip",
            "One spin when nobody else plays",
            "One player spins, one spin at a time, on a server that does nothing else: the time until the "
            "durable answer is there, of half of the spins at most.",
            "what cannot be saved, each measured alone: a WebSocket echo, a hop between two processes, and a "
            "commit in Postgres, added up.",
            (Aim(alone.BESIDE_PARTS, "≤", 1.5, "×"),),
            alone.parts_of_a_round_trip,
            lambda sizes: 3 * _START_S,
        ),
        Spec(
            "recovery",
            "A host is killed",
            "Players are connected and play; then one of the processes that hold their sessions is killed "
            "(kill -9). How long each of its sessions takes until it has answered again, its state read from "
            "the journal by another process.",
            "fixed bounds: what a player would take for a hiccup.",
            (Aim(alone.ALL_ANSWERED, "≤", 5.0, "s"), Aim(alone.FIRST_ANSWER, "≤", 2.0, "s")),
            alone.recovery_row,
            lambda sizes: _START_S + 15 + sizes.recovery_sessions / 400,
        ),
        Spec(
            "growth",
            "Whether a command gets dearer with more sessions",
            "The CPU time of all of the server's processes per command, with few sessions in memory and with "
            "many. Two casinos are started, and are under load by turns.",
            "itself, with the fewest sessions.",
            (Aim(alone.GROWTH, "≤", 1.2, "×"),),
            alone.growth_row,
            _growth_seconds,
        ),
    )
}


def servers() -> Servers:
    """None of them started."""
    return Servers({CASINO: own_casino, **{name: baseline.started for name, baseline in BASELINES.items()}})


def summaries(names: set[str]) -> dict[str, str]:
    """What each of these servers is, for a reader."""
    known = {
        CASINO: "the casino itself, as 'casino up' starts it, without limits on single users",
        fan_out.BARE: "a loop that writes the same frame to every socket, as fast as it can",
        **{name: baseline.summary for name, baseline in BASELINES.items()},
    }
    return {name: known[name] for name in known if name in names}


def chosen(names: list[str]) -> list[Spec]:
    """In the order of the catalogue; all, when none are named.

    Raises:
        ValueError: there is no such row.
    """
    unknown = [name for name in names if name not in SPECS]
    if unknown:
        raise ValueError(f"no row {unknown[0]!r}; there are {', '.join(SPECS)}")
    found = {name: spec for name, spec in SPECS.items() if not names or name in names}
    if "memory" not in found and "dedicated" in found:
        # It asks for the same measurement, which is then its own.
        dedicated = found["dedicated"]
        found["dedicated"] = dedicated._replace(
            seconds=lambda sizes: dedicated.seconds(sizes) + _memory_seconds(sizes)
        )
    return list(found.values())
