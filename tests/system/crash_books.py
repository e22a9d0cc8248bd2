"""What the house has written down about a table's bets, compared with what players were told."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec
from typer.testing import CliRunner

from actors.crash.round import Phase
from actors.crash.table_state import TABLE_EVENTS, TableState, evolve
from actors.games.crash import payout
from actors.wallet import player_account
from deploy.cli import app
from runtime.stream import Result
from runtime.turn import answer_of, decode_body, deferred_to
from tests.system.arena import Arena
from tests.system.crash_crowd import Player, Said

_decode_table_events = msgspec.msgpack.Decoder(list[TABLE_EVENTS]).decode

Answer = tuple[dict[str, Any] | None, str | None]


class Books:
    """Journal and ledger at one moment, in which no bet is open."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.answers: dict[tuple[str, str], Answer] = {}
        """By user and command id: reply, or code of the refusal, with deferred ones resolved."""
        self.placed: Counter[tuple[str, int]] = Counter()
        """How often a session's bet, by user and round, was paid into an escrow."""
        self.settled: dict[tuple[str, int], list[tuple[int | None, int]]] = defaultdict(list)
        """Each time it was settled: multiplier in hundredths, and payout."""
        self.staked: dict[str, int] = defaultdict(int)
        """By account: gold that came in, where one side was an escrow."""
        self.moved_out: dict[str, int] = defaultdict(int)
        self.gold: dict[str, int] = {}
        """By player, from the ledger's balances."""
        self.left_in_escrow: dict[str, int] = {}
        self.state = TableState(table)
        self.crash_points: dict[int, int] = {}
        self.deaths: Counter[str] = Counter()
        """In which phase each life of the table's host ended but the last."""

    @classmethod
    async def read(cls, dsn: str, table: str) -> Books:
        books = cls(table)
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                rows = await connection.fetch(
                    "SELECT actor, command_id, incarnation, body FROM journal"
                    " WHERE actor ^@ 'session/' OR actor = $1 ORDER BY actor, seq",
                    f"crash/{table}",
                )
                transfers = await connection.fetch(
                    "SELECT debit, credit, amount FROM ledger WHERE debit ^@ $1 OR credit ^@ $1",
                    f"escrow:crash:{table}:",
                )
                balances = await connection.fetch("SELECT account, balance FROM balances")
        finally:
            await connection.close()
        books._read_journal(rows)
        for debit, credit, amount in transfers:
            books.staked[credit] += amount
            books.moved_out[debit] += amount
        for account, balance in balances:
            owner = account.removeprefix(player_account(""))
            if owner != account:
                books.gold[owner] = balance
            elif account.startswith("escrow:") and balance:
                books.left_in_escrow[account] = balance
        return books

    def _read_journal(self, rows: Iterable[Any]) -> None:
        deferred: dict[tuple[str, str], str] = {}
        incarnation = None
        for actor, command_id, its_incarnation, data in rows:
            kind, _, key = actor.partition("/")
            body = decode_body(data)
            if kind == "crash":
                if incarnation not in (None, its_incarnation):
                    self.deaths[self.state.phase.value] += 1
                incarnation = its_incarnation
                self._read_table_turn(body.events)
                continue
            later = deferred_to(bytes(body.reply))
            if later is not None:
                deferred[key, command_id] = later
            else:
                self.answers[key, command_id] = _answer(bytes(body.reply))
            for event in msgspec.msgpack.decode(body.events):
                self._read_session_event(key, event)
        for (user, command_id), later in deferred.items():
            if (user, later) in self.answers:
                self.answers[user, command_id] = self.answers[user, later]

    def _read_session_event(self, user: str, event: dict[str, Any]) -> None:
        if event["type"] == "crash_bet_placed":
            self.placed[user, event["round"]] += 1
        elif event["type"] == "crash_bet_settled" and event["table"] == self.table:
            self.settled[user, event["round"]].append((event["multiplier"], event["payout"]))

    def _read_table_turn(self, events: bytes) -> None:
        for event in _decode_table_events(events):
            evolve(self.state, event)
            if self.state.phase is Phase.CRASHED:
                ended = self.state.history[-1]
                self.crash_points[ended.round] = ended.crash_point

    def problems(self, players: Iterable[Player]) -> list[str]:
        """Everything that does not agree with what the players were told."""
        found = []
        for player in players:
            found += self._problems_of(player)
        for account, staked in self.staked.items():
            if account.startswith("escrow:") and self.moved_out[account] != staked:
                found.append(f"{account} took {staked} and gave {self.moved_out[account]}")
        found += [f"{account} holds {gold}" for account, gold in self.left_in_escrow.items()]
        return found

    def _problems_of(self, player: Player) -> list[str]:
        user, found = player.user_id, []
        bets: dict[int, Said] = {}
        cashed_out: dict[int, Said] = {}
        for said in player.log:
            written = self.answers.get((user, said.id))
            if said.reply is not None and written is None:
                found.append(f"acknowledged and not in the journal: {said}")
            elif written is not None and written != said.answer():
                found.append(f"the journal says {written}: {said}")
            if said.reply is not None:
                (bets if said.name == "place_crash_bet" else cashed_out)[said.reply["round"]] = said
        gold = player.gold_before
        for number, bet in bets.items():
            stake = bet.data["stake"]
            expected = self._outcome(bet, cashed_out.get(number))
            if self.placed[user, number] != 1 or self.settled[user, number] != [expected]:
                found.append(
                    f"{user}, round {number}: placed {self.placed[user, number]} times, settled "
                    f"{self.settled[user, number]}, expected once {expected}"
                )
            gold += expected[1] - stake
        found += [
            f"{user}, round {number}: a bet that was never acknowledged"
            for (owner, number) in self.settled
            if owner == user and number not in bets
        ]
        if (self.gold.get(user), player.client.state.gold_balance) != (gold, gold):
            found.append(
                f"{user} should have {gold}, has {self.gold.get(user)} in the ledger, and was told "
                f"{player.client.state.gold_balance}"
            )
        return found

    def _outcome(self, bet: Said, cash_out: Said | None) -> tuple[int | None, int]:
        """What a bet comes to, from its terms, its player's cash-out and the round's crash point."""
        assert bet.reply is not None
        stake, auto, end = bet.data["stake"], bet.data.get("auto_cash_out"), None
        point = self.crash_points.get(bet.reply["round"], 0)
        if cash_out is not None and cash_out.reply is not None:
            end = round(cash_out.reply["multiplier"] * 100)
            assert end <= point, f"cashed out above the crash point {point}: {cash_out}"
            assert cash_out.reply["payout"] == payout(stake, end), cash_out
        elif auto is not None and round(auto * 100) <= point:
            end = round(auto * 100)
        return end, 0 if end is None else payout(stake, end)

    @property
    def used_up(self) -> set[tuple[str, str]]:
        """Users and ids of all commands that caused a turn: those have one answer for ever."""
        return set(self.answers)


def _answer(reply: bytes) -> Answer:
    outcome = answer_of(0, reply)
    if isinstance(outcome, Result):
        return msgspec.msgpack.decode(outcome.data), None
    return None, outcome.code


async def verify_rounds(arena: Arena, table: str, rounds: Iterable[int]) -> list[str]:
    """``casino verify crash-round`` for each; what it says of those that are not clean."""
    runner = CliRunner()

    def verify(number: int) -> str:
        arguments = ["verify", "crash-round", table, str(number), "--data", str(arena.data)]
        done = runner.invoke(app, arguments)
        return "" if done.exit_code == 0 and "verified" in done.output else f"{number}: {done.output}"

    said = [await asyncio.to_thread(verify, number) for number in rounds]
    return [each for each in said if each]
