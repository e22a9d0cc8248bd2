"""``crash-chain``: makes the hash chains of Crash, publishes their salts, and says how long they last."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, TypeVar

import asyncpg
import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.commands.options import (
    DataOption,
    JsonOption,
    console,
    dsn_of,
    fail,
    instance_of,
    print_json,
    settings_for,
)
from deploy.crash_chains import (
    CHAIN_ROUNDS,
    ROUNDS_LEFT_MIN,
    TableChains,
    chains_of,
    crash_key,
    generate_chain,
)
from deploy.instance import AlreadyRunning, NotRunning
from deploy.launcher import started
from deploy.settings import Settings
from persistence.embedded.postgres import EmbeddedPostgres
from persistence.embedded.process import EmbeddedServerError
from persistence.postgres.crash_chains import ChainError, ChainRecord, CrashChains, salt_of
from persistence.postgres.migrate import migrate
from runtime.errors import JournalError

T = TypeVar("T")
TableOption = Annotated[str, typer.Option("--table", help="The Crash table.")]

crash_chain = typer.Typer(no_args_is_help=True)


@crash_chain.callback()
def _crash_chain() -> None:
    """The hash chains that rounds of Crash are taken from.

    First 'generate', which prints the terminating hash; announce it together with where the salt will
    come from; then 'publish' the salt. Tables that are up take up their next chain by themselves.
    """


@crash_chain.command()
def generate(
    table: TableOption = "main",
    length: Annotated[int, typer.Option(help="Rounds it is for.", min=1, max=100_000_000)] = CHAIN_ROUNDS,
    force_next: Annotated[
        bool, typer.Option("--force-next", help="Also while the table has plenty of rounds left.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Make a chain for a table's next rounds, and print its terminating hash."""
    settings = settings_for(data)
    _check_configured(settings, table)

    async def make(store: CrashChains) -> ChainRecord:
        _refuse_superfluous(await chains_of(store, table), force_next)
        key = crash_key(settings, instance_of(settings))
        with _progress() as progress:
            task = progress.add_task("hashing", total=length)
            return await generate_chain(
                store, table, key, length, lambda made: progress.update(task, completed=made)
            )

    chain = _run(settings, make, may_create=True)
    print(chain.terminating_hash.hex())  # noqa: T201  # alone on its line, not wrapped: for scripts
    console.print(
        f"is the terminating hash of table {table}'s rounds {chain.first_round:,} to {chain.last_round:,}.",
        soft_wrap=True,
        highlight=False,
    )
    if settings.crash_key is None:
        console.print(
            f"Only {instance_of(settings).data / 'secrets' / 'crash-key'} can read the chain: keep a copy of"
            " it, apart from copies of the database.",
            soft_wrap=True,
            highlight=False,
        )
    console.print(f"Next: casino crash-chain publish --table {table}", soft_wrap=True, highlight=False)


@crash_chain.command()
def publish(
    salt: Annotated[
        str | None,
        typer.Option(help="The salt in hex; without it, what to announce is printed.", show_default=False),
    ] = None,
    source: Annotated[
        str, typer.Option(help="Where the salt comes from, such as 'bitcoin block 999999'; shown to players.")
    ] = "given by the operator",
    table: TableOption = "main",
    data: DataOption = None,
) -> None:
    """Fix the salt of a table's chain, once and for ever.

    The salt has to be something that nobody could choose or know when the chain was made, such as the
    hash of a future Bitcoin block: otherwise the house could have made many chains and kept the one
    that suits it. So announce the terminating hash and the block's number first, wait for the block,
    and then give its hash here.
    """
    settings = settings_for(data)
    if salt is None:
        _announce(_run(settings, lambda store: chains_of(store, table)))
        return
    try:
        fixed = salt_of(salt)
    except ChainError as error:
        fail(str(error))
    chain = _run(settings, lambda store: store.publish(table, fixed, source))
    console.print(
        f"the salt of table {table}'s rounds {chain.first_round:,} to {chain.last_round:,} is fixed: {fixed} "
        f"({chain.salt_source})",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


class ChainStatus(msgspec.Struct):
    first_round: int
    length: int
    terminating_hash: str
    salt: str | None
    salt_source: str | None
    created_at: datetime.datetime
    published_at: datetime.datetime | None


class TableStatus(msgspec.Struct):
    table: str
    rounds_played: int
    rounds_left: int
    """In chains with a salt, with the one that is being played."""
    chains: list[ChainStatus]


@crash_chain.command()
def status(data: DataOption = None, json: JsonOption = False) -> None:
    """Show each table's chains, and how many rounds are left. Exits with 1 where there are none."""
    settings = settings_for(data)
    names = [table.name for table in settings.crash_tables]

    async def look(store: CrashChains) -> list[TableChains]:
        stored = [chain.table for chain in await store.public()]
        return [await chains_of(store, name) for name in dict.fromkeys(names + stored)]

    found = _run(settings, look)
    if json:
        print_json([_status(each) for each in found])
    else:
        for each in found:
            _show(each)
    if any(each.table in names and each.rounds_left == 0 for each in found):
        raise typer.Exit(1)


def _status(found: TableChains) -> TableStatus:
    return TableStatus(
        found.table,
        found.rounds_played,
        found.rounds_left,
        [
            ChainStatus(
                chain.first_round,
                chain.length,
                chain.terminating_hash.hex(),
                chain.salt,
                chain.salt_source,
                chain.created_at,
                chain.published_at,
            )
            for chain in found.chains
        ],
    )


def _show(found: TableChains) -> None:
    left = found.rounds_left
    colour = "red" if left == 0 else "yellow" if left < ROUNDS_LEFT_MIN else "green"
    rounds = f"{found.rounds_played:,} rounds played, [{colour}]{left:,} left[/{colour}]"
    lines = [f"[bold]{found.table}[/bold]  {rounds}"]
    for chain in found.chains:
        lines.append(f"  rounds            {chain.first_round:,} to {chain.last_round:,}")
        lines.append(f"  terminating hash  {chain.terminating_hash.hex()}")
        if chain.published_at is None:
            lines.append("  salt              [yellow]not yet published[/yellow]")
        else:
            lines.append(f"  salt              {chain.salt}")
            lines.append(f"  salt's source     {escape(chain.salt_source or '')}")
            lines.append(f"  published         {chain.published_at:%Y-%m-%d %H:%M} UTC")
    console.print("\n".join(lines), soft_wrap=True, highlight=False)


def _announce(found: TableChains) -> None:
    chain = found.waiting
    if chain is None:
        if not found.chains:
            fail(f"table {found.table} has no chain: make one with 'casino crash-chain generate'")
        fail(f"every chain of table {found.table} has its salt: see 'casino crash-chain status'")
    console.print("Publish this where players can see its date, with a block some hours ahead:\n")
    console.print(
        f"  The rounds {chain.first_round:,} to {chain.last_round:,} of Crash table {found.table} come from"
        f" the chain of SHA-256 hashes that ends with\n  {chain.terminating_hash.hex()}\n"
        "  They are salted with the hash of Bitcoin block NUMBER, which is not known to anybody yet.",
        soft_wrap=True,
        highlight=False,
    )
    console.print(
        f"\nWhen the block is there: casino crash-chain publish --table {found.table} --salt HASH"
        " --source 'bitcoin block NUMBER'",
        soft_wrap=True,
        highlight=False,
    )


def _check_configured(settings: Settings, table: str) -> None:
    names = [each.name for each in settings.crash_tables]
    if table not in names:
        known = ", ".join(names) or "none"
        fail(f"no Crash table {table!r} is configured (CASINO_CRASH_TABLES); there are: {known}")


def _refuse_superfluous(found: TableChains, force_next: bool) -> None:
    if force_next:
        return
    if found.waiting is not None:
        raise ChainError(
            f"table {found.table} has a chain that waits for its salt: "
            f"'casino crash-chain publish --table {found.table}', or --force-next to add another behind it"
        )
    if found.rounds_left >= ROUNDS_LEFT_MIN:
        raise ChainError(
            f"table {found.table} has {found.rounds_left:,} rounds left and needs no other chain yet; "
            "to add one behind them all the same: --force-next"
        )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _run(
    settings: Settings, operation: Callable[[CrashChains], Awaitable[T]], *, may_create: bool = False
) -> T:
    async def run() -> T:
        async with _database(settings, may_create) as dsn:
            store = CrashChains(dsn)
            try:
                return await operation(store)
            finally:
                await store.close()

    try:
        return asyncio.run(run())
    except asyncpg.UndefinedTableError:
        fail("the database knows no hash chains yet: bring it up to date with 'casino migrate'")
    except (
        ChainError, NotRunning, AlreadyRunning, EmbeddedServerError, JournalError, OSError,
    ) as error:  # fmt: skip
        fail(str(error))


@contextlib.asynccontextmanager
async def _database(settings: Settings, may_create: bool) -> AsyncIterator[str]:
    """The database that is up; or the embedded one, for as long as the command runs: a casino that
    refuses to start without a chain cannot be up when it gets its first."""
    instance = instance_of(settings)
    if may_create:
        instance.prepare()
    if settings.postgres_dsn is not None or instance.is_locked() or not instance.data.exists():
        yield dsn_of(settings)
        return
    instance.prepare()
    instance.lock()
    server = EmbeddedPostgres(instance.data)
    dsn = await started(server)
    try:
        await migrate(dsn)
        yield dsn
    finally:
        await asyncio.to_thread(server.stop)
