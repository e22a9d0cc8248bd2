"""What holds of every Crash table and of every bet, judged from the rows as they become durable.

Knows the chain of each table, and keeps its own book of rounds and bets. What a player was told, an
event or a session's row, must agree with that book for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from actors.crash import bets as session_events
from actors.crash import table_state as table_events
from actors.crash.messages import KIND, SettleCrashBet, table_actor
from actors.games.crash import multiplier_at
from runtime.identity import ActorId, key_of, kind_of
from runtime.journal import TurnRecord
from tests.simulation.secrecy import Secrecy
from tests.simulation.shadow import Shadow, decode
from tests.simulation.tables import Table

if TYPE_CHECKING:
    from tests.simulation.checks import Checks

_decode_settlement = msgspec.msgpack.Decoder(SettleCrashBet).decode

NEXT = {"pause": "betting", "betting": "running", "running": "crashed", "crashed": "pause"}


class BookedBet:
    """``multiplier`` None: lost, or not decided."""

    def __init__(self, round_number: int, user: str, number: int, stake: int, auto: int | None) -> None:
        self.round = round_number
        self.user = user
        self.number = number
        self.stake = stake
        self.auto = auto
        self.is_decided = False
        self.is_by_hand = False
        self.multiplier: int | None = None
        self.is_sent = False
        self.is_settled = False

    @property
    def payout(self) -> int:
        return 0 if self.multiplier is None else self.stake * self.multiplier // 100

    def __repr__(self) -> str:
        return f"bet {self.number} of {self.user} in round {self.round}"


class Book:
    """One table, as its durable events tell."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.phase = "pause"
        self.round = 0
        self.phase_ends_ms = 0
        self.started_ms = 0
        self.capped: int | None = None
        self.bets: dict[tuple[str, int], BookedBet] = {}
        """Of all rounds, by user and the user's number."""
        self.present: dict[str, BookedBet] = {}
        """Of the latest round, by user."""
        self.ended: dict[int, dict[str, Any]] = {}
        """As a history should show it."""
        self.ended_at: list[int] = []
        """The turn that ended each round, from the first on."""
        self.told: list[tuple[int, bool]] = [(0, False)]
        """After each of its events: the round, and whether it runs."""

    @property
    def crash_point(self) -> int:
        return self.table.chain.crash_points[self.round]

    @property
    def is_done(self) -> bool:
        return self.phase == "pause" and self.round == self.table.rounds


class TableChecks:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self.books = {table.actor: Book(table) for table in checks.world.scenario.tables}
        self.secrecy = Secrecy(checks, self.books)
        self.reached: Callable[[str, int, str], None] = lambda table, round_number, phase: None

    def _wrong(self, check: str, what: str) -> None:
        self._checks.violated(check, what)

    # Rows

    def committing(self, turn: TurnRecord, shadow: Shadow) -> None:
        """Before the turn is applied to its shadow."""
        if kind_of(turn.actor) == KIND:
            self.secrecy.decided_blindly(turn, shadow)

    def committed(self, turn: TurnRecord, shadow: Shadow) -> None:
        """When it is."""
        if kind_of(turn.actor) == KIND:
            book = self.books[turn.actor]
            for event in shadow.events:
                self._table_event(book, event, turn)
            for send in turn.sends:
                self._settlement(book, send.to, _decode_settlement(send.data))
            for kind, data in shadow.pushes[len(book.told) - 1 :]:
                self._shown(book, kind, decode(data))
            self.secrecy.row(turn)
        elif self.books:
            for event in shadow.events:
                self._session_event(key_of(turn.actor), event, shadow)

    def _enter(self, book: Book, phase: str, at_ms: int) -> None:
        if NEXT[book.phase] != phase:
            self._wrong("rounds", f"{book.table.name}: round {book.round} goes from {book.phase} to {phase}")
        if phase in ("betting", "running") and at_ms < book.phase_ends_ms:
            self._wrong("rounds", f"{book.table.name}: {phase} {book.phase_ends_ms - at_ms} ms early")
        book.phase = phase
        self.reached(book.table.name, book.round, phase)

    def _table_event(self, book: Book, event: Any, turn: TurnRecord) -> None:
        table, rules = book.table, book.table.rules
        match event:
            case table_events.CrashRoundOpened():
                if event.round != book.round + 1:
                    self._wrong("rounds", f"{table.name}: round {event.round} after {book.round}")
                book.round = event.round
                if event.previous_hash != table.chain.hashes[event.round - 1].hex():
                    self._wrong("fairness", f"{table.name}: round {event.round} is not committed to")
                self._enter(book, "betting", event.at_ms)
                book.phase_ends_ms = event.at_ms + rules.betting_ms
                book.present, book.capped = {}, None
            case table_events.CrashBetTaken():
                self._taken(book, event)
            case table_events.CrashRoundStarted():
                self._enter(book, "running", event.started_ms)
                book.started_ms = event.started_ms
            case table_events.CrashBetCashedOut():
                self._cashed_out(book, event)
            case table_events.CrashRoundCapped():
                book.capped = event.multiplier
                if event.multiplier > book.crash_point:
                    self._wrong("payouts", f"{table.name}: capped at {event.multiplier}, above the crash")
            case table_events.CrashProgressed():
                self._progressed(book, event)
            case table_events.CrashRoundEnded():
                self._ended(book, event, turn)
            case table_events.CrashRoundSettled():
                self._enter(book, "pause", event.at_ms)
            case _:
                pass

    def _taken(self, book: Book, event: Any) -> None:
        bet = BookedBet(event.round, event.user_id, event.bet, event.stake, event.auto)
        rules = book.table.rules
        key = (bet.user, bet.number)
        if book.phase != "betting" or event.round != book.round or event.at_ms >= book.phase_ends_ms:
            self._wrong("rounds", f"{book.table.name}: {bet} is taken in {book.phase} of round {book.round}")
        if key in book.bets or bet.user in book.present:
            self._wrong("exactly once", f"{book.table.name}: {bet} is taken a second time")
        if not rules.stake_min <= bet.stake <= rules.stake_max or len(book.present) >= rules.bets_max:
            self._wrong("payouts", f"{book.table.name}: {bet} of {bet.stake} should have been refused")
        book.bets[key] = book.present[bet.user] = bet

    def _decide(self, book: Book, bet: BookedBet, multiplier: int | None, limit: int) -> None:
        if bet.is_decided:
            self._wrong("exactly once", f"{book.table.name}: {bet} is decided a second time")
        if multiplier is not None and not 101 <= multiplier <= min(limit, book.crash_point):
            self._wrong(
                "payouts",
                f"{book.table.name}: {bet} is paid at {multiplier}; it could have {limit} at most, and the"
                f" round crashes at {book.crash_point}",
            )
        bet.is_decided = True
        bet.multiplier = multiplier

    def _cashed_out(self, book: Book, event: Any) -> None:
        bet = book.present.get(event.user_id)
        if bet is None or book.phase != "running" or event.bet != bet.number:
            self._wrong("payouts", f"{book.table.name}: nothing of {event.user_id} to cash out")
            return
        reached = multiplier_at(max(0, event.at_ms - book.started_ms))
        limit = min(reached, bet.auto or reached)
        if reached <= book.crash_point and event.multiplier != limit and book.capped is None:
            self._wrong("payouts", f"{book.table.name}: {bet} at {event.multiplier} when it had {limit}")
        self._decide(book, bet, event.multiplier, limit)
        bet.is_by_hand = True
        if event.payout != bet.payout:
            self._wrong("payouts", f"{book.table.name}: {bet} is paid {event.payout}, not {bet.payout}")

    def _progressed(self, book: Book, event: Any) -> None:
        if not event.autos:
            return
        reached = multiplier_at(max(0, event.at_ms - book.started_ms))
        for bet in self._targets(book)[: event.autos]:
            self._decide(book, bet, bet.auto, reached)

    def _targets(self, book: Book) -> list[BookedBet]:
        waiting = [b for b in book.present.values() if b.auto is not None and not b.is_decided]
        return sorted(waiting, key=lambda bet: (bet.auto, bet.user))

    def _ended(self, book: Book, event: Any, turn: TurnRecord) -> None:
        table, number = book.table, book.round
        chain = table.chain
        self._enter(book, "crashed", event.at_ms)
        if event.round in book.ended:
            self._wrong("rounds", f"{table.name}: round {event.round} ends a second time")
        if event.hash != chain.hashes[number].hex() or event.crash_point != chain.crash_points[number]:
            self._wrong("fairness", f"{table.name}: round {number} was not decided by its hash")
        if sha256(bytes.fromhex(event.hash)).digest() != chain.hashes[number - 1]:
            self._wrong("fairness", f"{table.name}: the hash of round {number} does not lead to the last")
        paid = [bet.payout for bet in book.present.values() if bet.is_decided]
        undecided = [bet for bet in book.present.values() if not bet.is_decided]
        profits = sum(bet.payout - bet.stake for bet in book.present.values() if bet.multiplier)
        for bet in undecided:
            multiplier = bet.auto if bet.auto is not None and bet.auto <= event.multiplier else None
            if multiplier is None and event.forced:
                multiplier = event.multiplier
            self._decide(book, bet, multiplier, event.multiplier)
            paid.append(bet.payout)
        if not event.forced:
            if event.multiplier != event.crash_point:
                self._wrong("fairness", f"{table.name}: round {number} ends at {event.multiplier}")
            over_ms = event.at_ms - book.started_ms
            if event.crash_point > 100 and multiplier_at(max(0, over_ms)) <= event.crash_point:
                self._wrong("rounds", f"{table.name}: round {number} crashes too early")
        lost = profits + sum(bet.payout - bet.stake for bet in undecided if bet.multiplier)
        if lost > table.rules.liability_max:
            self._wrong("payouts", f"{table.name}: round {number} pays {lost}")
        book.phase_ends_ms = event.at_ms + table.rules.pause_ms
        book.ended_at.append(turn.seq)
        book.ended[number] = {
            "round": number,
            "hash": chain.hashes[number].hex(),
            "crash_point": chain.crash_points[number] / 100,
            "ended": "forced" if event.forced else "crashed",
            "multiplier": event.multiplier / 100,
            "at_ms": event.at_ms,
            "bets": len(book.present),
            "staked": sum(bet.stake for bet in book.present.values()),
            "paid": sum(paid),
        }

    def _settlement(self, book: Book, to: ActorId, said: SettleCrashBet) -> None:
        bet = book.bets.get((key_of(to), said.bet))
        if bet is None or not bet.is_decided or bet.is_by_hand:
            self._wrong("settlement", f"{book.table.name}: {bet} is not to be settled so")
            return
        if bet.is_sent:
            self._wrong("settlement", f"{book.table.name}: {bet} is settled a second time")
        bet.is_sent = True
        if (said.round, said.stake, said.auto, said.multiplier, said.payout) != (
            bet.round,
            bet.stake,
            bet.auto,
            bet.multiplier,
            bet.payout,
        ):
            self._wrong("payouts", f"{book.table.name}: {bet} is settled as {said}")

    def _shown(self, book: Book, kind: str, data: dict[str, Any]) -> None:
        """An outgoing event, on its way into the journal."""
        round_number, is_running = book.told[-1]
        players = list(book.present.values())
        staked = sum(bet.stake for bet in players)
        right: dict[str, Any] = {}
        match kind:
            case "crash_betting_opened":
                round_number = data["round"]
            case "crash_bets_placed":
                right = {"players": len(players), "staked": staked}
                for shown in data["bets"]:
                    bet = book.present.get(shown["user_id"])
                    auto = None if bet is None or bet.auto is None else bet.auto / 100
                    if bet is None or (shown["stake"], shown["auto_cash_out"]) != (bet.stake, auto):
                        self._wrong("events", f"{book.table.name}: {shown} was not bet")
            case "crash_started":
                is_running = True
                right = {"players": len(players), "staked": staked, "started_ms": book.started_ms}
            case "crash_cashed_out":
                out = [bet for bet in players if bet.multiplier is not None]
                right = {"cashed_out": len(out), "paid": sum(bet.payout for bet in out)}
                for shown in data["cash_outs"]:
                    bet = book.present[shown["user_id"]]
                    if (shown["multiplier"], shown["payout"]) != ((bet.multiplier or 0) / 100, bet.payout):
                        self._wrong("events", f"{book.table.name}: {bet} did not cash out as {shown}")
            case "crash_crashed":
                is_running = False
                ended = book.ended[book.round]
                names = ("crash_point", "hash", "ended", "multiplier", "staked", "paid")
                right = {name: ended[name] for name in names} | {"players": len(players)}
                right["previous_hash"] = book.table.chain.hashes[book.round - 1].hex()
        book.told.append((round_number, is_running))
        if data["round"] != book.round or any(data[name] != value for name, value in right.items()):
            self._wrong("events", f"{book.table.name}: {kind} {data} should have {right}")

    def _session_event(self, user: str, event: Any, shadow: Shadow) -> None:
        match event:
            case session_events.CrashBetPlaced():
                if not any(
                    (user, event.bet) in book.bets and book.bets[user, event.bet].round == event.round
                    for book in self.books.values()
                ):
                    self._wrong("bets", f"{user}: bet {event.bet} was not taken in round {event.round}")
            case session_events.CrashBetSettled():
                book = self.books[table_actor(event.table)]
                bet = book.bets.get((user, event.bet))
                if bet is None or not bet.is_decided:
                    self._wrong("settlement", f"{user}: bet {event.bet} is not decided")
                    return
                if bet.is_settled:
                    self._wrong("exactly once", f"{user}: {bet} is settled a second time")
                bet.is_settled = True
                gained = shadow.golds[-1] - shadow.golds[-2]
                if (event.multiplier, event.payout, event.stake) != (bet.multiplier, bet.payout, bet.stake):
                    self._wrong("payouts", f"{user}: {bet} comes to {event.payout}, not {bet.payout}")
                elif gained != bet.payout:
                    self._wrong("payouts", f"{user}: {bet} brings {gained} gold, not {bet.payout}")

    # What players are told

    def answered(self, user: str, name: str, data: dict[str, Any]) -> None:
        """An acknowledgement."""
        if name not in ("place_crash_bet", "cash_out_crash"):
            return
        book = self.books[table_actor(data["table"])]
        bets = [b for b in book.bets.values() if (b.user, b.round) == (user, data["round"])]
        if len(bets) != 1 or bets[0].stake != data["stake"]:
            self._wrong("bets", f"{user}: {data} is acknowledged, and was not taken")
        elif name == "place_crash_bet":
            auto = bets[0].auto
            if data["auto_cash_out"] != (None if auto is None else auto / 100):
                self._wrong("bets", f"{user}: {data} is not what was taken")
        elif (bets[0].is_by_hand, (bets[0].multiplier or 0) / 100, bets[0].payout) != (
            True,
            data["multiplier"],
            data["payout"],
        ):
            self._wrong("payouts", f"{user}: {data} is acknowledged, but {bets[0]} came to other")

    def read(self, actor: ActorId, name: str, data: bytes, asked: bytes, floor: int) -> int:
        """An answer that changes nothing. Returns the least turn that it saw."""
        book, said = self.books[actor], decode(data)
        chain = book.table.chain
        if name == "get_crash_fairness":
            number = said["round"]
            facts = (said["terminating_hash"], said["salt"], said["length"], said["rounds_left"])
            rounds = book.table.rounds
            if facts != (chain.hashes[0].hex(), chain.salt, rounds, rounds - number) or number > book.round:
                self._wrong("fairness", f"{actor}: {said}")
            elif number and said["previous_hash"] != chain.hashes[number - 1].hex():
                self._wrong("fairness", f"{actor}: round {number} is said to be {said['previous_hash']}")
            return floor
        rounds_said = said["rounds"]
        newest = rounds_said[0]["round"] if rounds_said else 0
        shown = min(newest, decode(asked)["limit"])
        if rounds_said != [book.ended.get(number) for number in range(newest, newest - shown, -1)]:
            self._wrong("linearizable", f"{actor}: a history of {rounds_said}")
        if newest < sum(1 for seq in book.ended_at if seq <= floor):
            self._wrong("linearizable", f"{actor}: a history up to round {newest} only")
        return book.ended_at[newest - 1] if 0 < newest <= len(book.ended_at) else 0

    def ticked(self, actor: ActorId, kind: str, data: dict[str, Any]) -> None:
        """As it leaves its host, or reaches a client."""
        book = self.books[actor]
        number = data["round"]
        if kind != "crash_tick" or (number, True) not in book.told:
            self._wrong("output gate", f"{actor}: {kind} {data} before its round has started")
        elif data["multiplier"] != multiplier_at(data["elapsed_ms"]) / 100:
            self._wrong("events", f"{actor}: {data}")
        elif data["multiplier"] * 100 > book.table.chain.crash_points[number] + 0.5:
            self._wrong("payouts", f"{actor}: a tick of {data['multiplier']} in round {number}")

    # At rest

    def unrest(self) -> str | None:
        for book in self.books.values():
            if not book.is_done:
                return f"{book.table.name}: round {book.round} is in {book.phase}"
        return None

    def audit(self) -> None:
        for actor, book in self.books.items():
            for bet in book.bets.values():
                if not bet.is_settled:
                    self._wrong("settlement", f"{actor}: {bet} was never settled")
                if bet.is_sent == bet.is_by_hand:
                    self._wrong("settlement", f"{actor}: {bet} was never told to its session")
        for actor, shadow in self._checks.shadows.items():
            if kind_of(actor) == "session" and shadow.bets and decode(shadow.bets[-1][1])["open"]:
                self._wrong("settlement", f"{actor}: {decode(shadow.bets[-1][1])['open']} is open for ever")
