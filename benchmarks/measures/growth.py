"""Whether a command costs more CPU when many others are resident, or when there are more hosts.

``python -m benchmarks.measures.growth``. Owns the contest: casinos that differ in one thing only are loaded
by turns with the same closed loop, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import msgspec
import typer

from benchmarks.load.plan import Plan, Wishes, plan_of
from benchmarks.load.processes import LOAD
from benchmarks.load.result import Result
from benchmarks.load.run import run
from benchmarks.measures.command_line import numbers, tell
from benchmarks.measures.guests import GuestCasino, guest_casino, played, registered
from benchmarks.measures.server import MeasureFailed, at_rest, check_resident, quiet
from benchmarks.scenarios.spin import SCENARIO as SPIN

CONNECTIONS = 64
HOSTS_MAX = 64
_WARM_UP_S = 2.0


class GrowthPoint(msgspec.Struct, frozen=True):
    """Medians over the rounds."""

    residents: int
    hosts: int
    cpu_us_per_command: float
    """CPU time of all of the server's processes, Postgres and Ray among them."""
    commands_per_s: float


class Growth(msgspec.Struct, kw_only=True):
    """``ratio`` is the CPU time of a command with most residents over that with fewest, on as many hosts:
    the median of what each round gave, in which the two were measured one after the other."""

    points: list[GrowthPoint]
    ratio: float


class Setting(NamedTuple):
    """What one of the casinos is like."""

    residents: int
    hosts: int
    registered: int

    def __str__(self) -> str:
        rest = f", {self.registered:,} registered" if self.registered > self.residents else ""
        return f"{self.residents:,} resident{rest}, {self.hosts} host{'s' if self.hosts > 1 else ''}"


class Turn(NamedTuple):
    """One casino's share of a round."""

    cpu_us_per_command: float
    commands_per_s: float


async def growth(
    report: Callable[[str], None],
    *,
    residents: Sequence[int] = (1_000, 100_000),
    hosts: Sequence[int] = (1, 4),
    registered: int = 0,
    rounds: int = 3,
    seconds: float = 6.0,
) -> Growth:
    """Casinos of its own, on this machine, all up at the same time: one for each number of ``residents``
    on the first number of ``hosts``, and the fewest residents on each other number of them.

    ``registered``: accounts that there are in the largest casino, most of which never play. A million
    cannot be signed up over the protocol in a time that anybody would wait (some ten minutes of two
    cores), so they are inserted into the run's own database by SQL, as residents' are. 0: as many as
    are resident.

    Raises:
        ValueError: the numbers make no sense.
        TargetError, MeasureFailed, SignUpFailed, BotProcessFailed: there is nothing to be measured.
    """
    settings = settings_of(residents, hosts, registered)
    if rounds < 1 or not 0.5 <= seconds <= 3600:
        raise ValueError("rounds must be at least 1, and seconds between 0.5 and 3600")
    plan = plan_of(SPIN, Wishes(closed=CONNECTIONS, duration_s=seconds, warm_up_s=_WARM_UP_S))
    turns: dict[Setting, list[Turn]] = {setting: [] for setting in settings}
    async with AsyncExitStack() as stack:
        casinos = {}
        for setting in settings:
            report(f"starting a casino: {setting}")
            environment = {"CASINO_SESSION_HOSTS": str(setting.hosts)}
            casinos[setting] = await stack.enter_async_context(guest_casino(environment))
            await _populated(casinos[setting], setting, report)
        for number in range(rounds):
            # Whoever is first in one round is last in the next.
            for setting in settings if number % 2 == 0 else reversed(settings):
                turn = await _turn(casinos[setting], plan, report)
                turns[setting].append(turn)
                report(
                    f"round {number + 1} of {rounds}, {setting}: {turn.cpu_us_per_command:,.0f} µs of CPU, "
                    f"{turn.commands_per_s:,.0f} commands/s"
                )
    return concluded(turns)


def settings_of(residents: Sequence[int], hosts: Sequence[int], registered: int = 0) -> list[Setting]:
    """Raises ``ValueError`` with what to change."""
    sizes = sorted(set(residents))
    if len(sizes) < 2 or sizes[0] < 1:
        raise ValueError("residents: give at least two different numbers, and none below 1")
    if not hosts or not all(1 <= count <= HOSTS_MAX for count in hosts):
        raise ValueError(f"hosts: give at least one number, each between 1 and {HOSTS_MAX}")
    if registered and registered < sizes[-1]:
        raise ValueError(f"registered: {registered:,} are fewer than the {sizes[-1]:,} who are resident")
    settings = [Setting(size, hosts[0], size) for size in sizes[:-1]]
    settings.append(Setting(sizes[-1], hosts[0], max(registered, sizes[-1])))
    settings += [Setting(sizes[0], count, sizes[0]) for count in dict.fromkeys(hosts) if count != hosts[0]]
    return settings


async def _populated(casino: GuestCasino, setting: Setting, report: Callable[[str], None]) -> None:
    user_ids = await registered(casino, setting.registered)
    await played(casino, user_ids[: setting.residents], report)
    await at_rest(casino.target, report)
    await check_resident(casino.target, setting.residents)


async def _turn(casino: GuestCasino, plan: Plan, report: Callable[[str], None]) -> Turn:
    # What the turn before has left to relay is not this one's.
    await quiet(casino.target, report)
    outcome = await run(SPIN, casino.target, plan, (), command="growth", probe=Path.cwd())
    return turn_of(outcome.result)


def turn_of(result: Result) -> Turn:
    """Raises ``MeasureFailed`` when the run says nothing about the cost of a command."""
    if result.errors or not result.answers:
        raise MeasureFailed(f"{result.answers:,} commands were answered; errors: {result.errors or 'none'}")
    used_s = passed_s = before_s = 0.0
    for sample in result.samples:
        if sample.at_s > 0:
            # The first one that counts may have begun in the warm-up, at the same pace.
            since_s = sample.at_s - before_s
            used_s += since_s * sum(usage.cpu_share for usage in sample.usage if usage.role != LOAD)
            passed_s += since_s
        before_s = sample.at_s
    if not used_s:
        raise MeasureFailed("the server's processes cannot be seen")
    rate = result.figures["rate"]
    return Turn(used_s / passed_s / rate * 1e6, rate)


def concluded(turns: Mapping[Setting, Sequence[Turn]]) -> Growth:
    """Of as many turns for each setting, in the order of the rounds."""
    points = [
        GrowthPoint(
            setting.residents,
            setting.hosts,
            round(median(turn.cpu_us_per_command for turn in taken), 1),
            round(median(turn.commands_per_s for turn in taken), 1),
        )
        for setting, taken in turns.items()
    ]
    fewest, most = pair_of(turns)
    return Growth(
        points=points,
        ratio=round(
            median(
                large.cpu_us_per_command / small.cpu_us_per_command
                for small, large in zip(turns[fewest], turns[most], strict=True)
            ),
            3,
        ),
    )


def pair_of(settings: Iterable[Setting]) -> tuple[Setting, Setting]:
    """Fewest and most residents, on the number of hosts of the first."""
    listed = list(settings)
    alike = [setting for setting in listed if setting.hosts == listed[0].hosts]
    return min(alike), max(alike)


def _lines(found: Growth) -> Iterator[str]:
    for point in found.points:
        where = f"{point.residents:,} resident, {point.hosts} host{'s' if point.hosts > 1 else ''}"
        cost = f"{point.cpu_us_per_command:,.0f} µs of CPU a command"
        yield f"{where}: {cost}, {point.commands_per_s:,.0f} commands/s"
    yield f"most residents against fewest: {found.ratio:.3f} ×"


def command(
    residents: Annotated[str, typer.Option(help="Resident sessions; one casino for each number.")] = (
        "1000,100000"
    ),
    hosts: Annotated[str, typer.Option(help="Session hosts; with the first, all numbers of residents.")] = (
        "1,4"
    ),
    registered: Annotated[
        int, typer.Option(help="Accounts in the largest casino, by SQL; 0: as many as are resident.")
    ] = 0,
    rounds: Annotated[int, typer.Option(help="How often each casino has its turn.")] = 3,
    seconds: Annotated[float, typer.Option(help="A turn, beside its warm-up.")] = 6.0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Measure what a command costs while few and while many sessions are resident."""
    tell(
        "growth",
        lambda report: growth(
            report,
            residents=numbers("--residents", residents),
            hosts=numbers("--hosts", hosts),
            registered=registered,
            rounds=rounds,
            seconds=seconds,
        ),
        _lines,
        json,
    )


if __name__ == "__main__":
    typer.run(command)
