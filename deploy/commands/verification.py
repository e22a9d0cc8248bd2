"""``verify``: recompute an outcome from what players were told, or from what the house has stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from actors.crash.messages import table_actor
from actors.crash.table_state import TABLE_EVENTS, CrashRoundEnded, TableState, evolve
from actors.games.crash import as_float, payout
from actors.games.hash_chain import walk_down
from actors.verification import verify_crash, verify_slots
from actors.wallet import crash_escrow
from deploy.commands.options import DataOption, JsonOption, console, dsn_of, fail, print_json, settings_for
from deploy.instance import NotRunning
from persistence.postgres.archive import Archive
from persistence.postgres.crash_chains import ChainRecord, CrashChains
from runtime.command_ids import alarm_id
from runtime.errors import JournalError
from runtime.journal import StoredTurn
from runtime.turn import decode_body

verify = typer.Typer(help="Recompute an outcome.", no_args_is_help=True)


@verify.callback()
def _verify() -> None:
    """Recompute an outcome. ``slots`` and ``crash`` need no server, only what the player was told."""


@verify.command()
def slots(
    server_seed: Annotated[str, typer.Option(help="The revealed server seed, in hex.")],
    client_seed: Annotated[str, typer.Option(help="The client seed of the play.")],
    nonce: Annotated[int, typer.Option(help="The number of the play under this server seed.")],
    machine: Annotated[str, typer.Option(help="The slot machine.")] = "classic",
    stake: Annotated[int, typer.Option(help="Gold staked.")] = 1,
    json: JsonOption = False,
) -> None:
    """Spin a slot machine again: prints the seed's hash and the outcome."""
    try:
        proof = verify_slots(server_seed, client_seed, nonce, machine, stake)
    except ValueError as error:
        fail(str(error))
    if json:
        print_json(proof._asdict())
        return
    console.print(f"server seed hash  {proof.server_seed_hash}", highlight=False)
    console.print(f"outcome           {proof.outcome}", highlight=False)


@verify.command()
def crash(
    salt: Annotated[str, typer.Option(help="The published salt, in hex.")],
    hash: Annotated[str, typer.Option(help="The hash revealed after the round, in hex.")],
    json: JsonOption = False,
) -> None:
    """Compute a round of Crash again: prints its crash point and the hash of the round before."""
    try:
        proof = verify_crash(salt, hash)
    except ValueError as error:
        fail(str(error))
    if json:
        print_json({**proof._asdict(), "crash_point": as_float(proof.crash_point)})
        return
    console.print(f"crash point    {as_float(proof.crash_point):.2f}", highlight=False)
    console.print(f"previous hash  {proof.previous_hash}", highlight=False, soft_wrap=True)


class RoundReport(msgspec.Struct):
    """A played round, as stored and as computed again."""

    table: str
    round: int
    hash: str
    previous_hash: str
    crash_point: float
    ended: str
    multiplier: float
    bets: int
    staked: int
    paid: int
    escrow_in: int
    """Gold that the ledger moved into the round's escrow account."""
    escrow_out: int
    steps_to_terminating_hash: int
    problems: list[str]


@verify.command("crash-round")
def crash_round(
    table: Annotated[str, typer.Argument(help="Name of the table, such as main.")],
    round_number: Annotated[int, typer.Argument(metavar="ROUND", min=1)],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Check a played round: crash point, link in the chain, every payout, and the ledger's escrow."""
    try:
        report = asyncio.run(_check_round(dsn_of(settings_for(data)), table, round_number))
    except (NotRunning, JournalError, LookupError, OSError) as error:
        fail(str(error))
    if json:
        print_json(report)
    else:
        forced = " (forced by the liability cap)" if report.ended == "forced" else ""
        for line in (
            f"round {report.round} of table {report.table}: crash point {report.crash_point:.2f}",
            f"ended at {report.multiplier:.2f}{forced}; {report.bets} bets, {report.staked} staked, "
            f"{report.paid} paid",
            f"hash           {report.hash}",
            f"previous hash  {report.previous_hash}",
            f"{report.steps_to_terminating_hash} steps from the published terminating hash",
            f"escrow: {report.escrow_in} in, {report.escrow_out} out",
        ):
            console.print(line, highlight=False, soft_wrap=True)
        for problem in report.problems:
            console.print(f"[red]{problem}[/red]", soft_wrap=True)
        if not report.problems:
            console.print("[green]verified[/green]")
    if report.problems:
        raise typer.Exit(1)


async def _check_round(dsn: str, table: str, number: int) -> RoundReport:
    archive, chains = Archive(dsn), CrashChains(dsn)
    try:
        actor = table_actor(table)
        begin, end, before = await archive.turns(
            actor,
            [
                alarm_id(f"{number - 1}/pause"),
                alarm_id(f"{number}/running"),
                alarm_id(f"{number - 1}/running"),
            ],
        )
        if begin is None or end is None:
            raise LookupError(f"round {number} of table {table!r} is not over, or was never played")
        state = TableState(table)
        ended = None
        async for turn in archive.between(actor, begin.seq, end.seq):
            for event in _decode_events(decode_body(turn.body).events):
                evolve(state, event)
                ended = event if isinstance(event, CrashRoundEnded) else ended
        assert ended is not None
        chain = next(c for c in await chains.public(table) if c.first_round <= number <= c.last_round)
        moved_in, moved_out = await archive.moved(crash_escrow(table, number))
        previous = _ended(before).hash if before is not None else None
    finally:
        await archive.close()
        await chains.close()
    problems = [*_link_problems(ended, chain, previous), *_bet_problems(state, ended)]
    if (moved_in, moved_out) != (state.staked, state.staked):
        problems.append(f"the escrow took {moved_in} and gave {moved_out}, but {state.staked} were staked")
    return RoundReport(
        table=table,
        round=number,
        hash=ended.hash,
        previous_hash=state.previous_hash,
        crash_point=as_float(ended.crash_point),
        ended="forced" if ended.forced else "crashed",
        multiplier=as_float(ended.multiplier),
        bets=len(state.bets),
        staked=state.staked,
        paid=state.paid,
        escrow_in=moved_in,
        escrow_out=moved_out,
        steps_to_terminating_hash=number - chain.first_round + 1,
        problems=problems,
    )


_decode_events = msgspec.msgpack.Decoder(list[TABLE_EVENTS]).decode


def _ended(turn: StoredTurn) -> CrashRoundEnded:
    events = _decode_events(decode_body(turn.body).events)
    return next(event for event in events if isinstance(event, CrashRoundEnded))


def _link_problems(ended: CrashRoundEnded, chain: ChainRecord, previous: str | None) -> Iterator[str]:
    proof = verify_crash(chain.salt or "", ended.hash)
    if proof.crash_point != ended.crash_point:
        yield f"its hash gives a crash point of {as_float(proof.crash_point):.2f}"
    if ended.multiplier > ended.crash_point or (ended.multiplier < ended.crash_point and not ended.forced):
        yield f"it ended at {as_float(ended.multiplier):.2f}"
    if previous is not None and ended.round > chain.first_round and proof.previous_hash != previous:
        yield "its hash does not lead to that of the round before"
    steps = ended.round - chain.first_round + 1
    if walk_down(bytes.fromhex(ended.hash), steps) != chain.terminating_hash:
        yield f"its hash does not lead to the published terminating hash in {steps} steps"


def _bet_problems(state: TableState, ended: CrashRoundEnded) -> Iterator[str]:
    for user_id, bet in state.bets.items():
        reached = bet.multiplier is not None
        if bet.multiplier is not None and bet.payout != payout(bet.stake, bet.multiplier):
            yield f"{user_id} was paid {bet.payout} for {bet.stake} at {as_float(bet.multiplier):.2f}"
        if bet.multiplier is not None and bet.multiplier > ended.multiplier:
            yield f"{user_id} was cashed out at {as_float(bet.multiplier):.2f}, after the end"
        if bet.auto is not None and bet.auto <= ended.multiplier and not reached:
            yield f"{user_id} lost, with an automatic cash-out at {as_float(bet.auto):.2f}"
