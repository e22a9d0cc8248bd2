"""Whether anything betrays how a round will end before the row that ends it is durable.

Two ways to find out: the bytes of a hash must stand nowhere; and a table's turns must be the same when
decided with another hash, whose round would go on for ever. What does not change with the secret
does not contain it, in whatever disguise.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from actors.crash.messages import KIND
from actors.crash.round import Phase, TableRules
from actors.crash.table import CrashTable
from actors.crash.table_commands import Announce, EndPhase, SettleBets
from actors.crash.table_state import CrashRoundEnded
from actors.games.crash import multiplier_at
from runtime.activation import fingerprint_of
from runtime.behavior import Context, Decision, Refusal
from runtime.errors import Rejected
from runtime.identity import ActorId, kind_of
from runtime.journal import CommitBatch, TurnRecord
from runtime.turn import encode, encode_body
from tests.simulation.shadow import Shadow, codec_of
from tests.simulation.tables import Hashes, crash_point

if TYPE_CHECKING:
    from tests.simulation.checks import Checks
    from tests.simulation.table_checks import Book

FAR_AWAY = 50_000
"""500×: later than any round of a simulation."""


class _Otherwise(Hashes):
    """A chain that would let every round go on."""

    def hash_of(self, table: str, round_number: int) -> bytes:
        return _hash_for(self.salt_of(table, round_number))


@cache
def _hash_for(salt: str) -> bytes:
    number = 0
    while crash_point(number.to_bytes(32, "big"), salt) < FAR_AWAY:
        number += 1
    return number.to_bytes(32, "big")


class Secrecy:
    def __init__(self, checks: Checks, books: dict[ActorId, Book]) -> None:
        self._checks = checks
        self._books = books
        rules: dict[str, TableRules] = {book.table.name: book.table.rules for book in books.values()}
        self._otherwise = {actor: CrashTable(rules, _Otherwise(book.table)) for actor, book in books.items()}

    # Bytes

    def _look(self, what: str, *places: bytes | str) -> None:
        for book in self._books.values():
            for number in range(len(book.ended) + 1, book.table.rounds + 1):
                secret = book.table.chain.hashes[number]
                digits = secret.hex()
                for place in places:
                    if isinstance(place, str):
                        found = digits in place
                    else:
                        found = secret in place or digits.encode() in place
                    if found:
                        self._checks.violated(
                            "secrecy", f"the hash of round {number} of {book.table.name} stands in {what}"
                        )

    def batch(self, batch: CommitBatch) -> None:
        """After its turns."""
        for snapshot in batch.snapshots:
            if kind_of(snapshot.actor) == KIND:
                self._look(f"a snapshot of {snapshot.actor}", snapshot.state, snapshot.replies)

    def row(self, turn: TurnRecord) -> None:
        """Of a table, after it was booked: one that has ended a round may tell of that round."""
        rest = [send.data for send in turn.sends] + [reminder.data for reminder in turn.reminders_set]
        self._look(f"{turn.actor}:{turn.seq}", turn.command_id, turn.body, *rest)

    def message(self, name: str, message: Any) -> None:
        """What the host of a table says."""
        if self._books and name.startswith(f"{KIND}-"):
            self._look(f"a {type(message).__name__} of {name}", encode(message))

    # Dependence

    def decided_blindly(self, turn: TurnRecord, shadow: Shadow) -> None:
        """Before the turn is applied. Compares what was decided before the round's end."""
        state = shadow.state
        if turn.reminders_set:
            self._checks.violated("secrecy", f"{turn.actor}: {turn.reminders_set} would tell of times")
        command = self._command(turn, shadow)
        if command is None:
            self._checks.violated("exactly once", f"{turn.actor}: {turn.command_id} is nobody's command")
            return
        phase = state.phase  # type: ignore[attr-defined]
        if phase is Phase.RUNNING and self._is_over(turn):
            return
        send = self._checks.sends.get(turn.command_id)
        context = Context(
            turn.actor, turn.command_id, turn.recorded_ms, _no_entropy, send.sender if send else turn.actor
        )
        try:
            decision = self._otherwise[turn.actor].decide(state, command, context)  # type: ignore[arg-type]
        except Rejected as error:
            decision = Decision(Refusal(error.code, error.message))
        if any(isinstance(event, CrashRoundEnded) for event in decision.events):
            return
        reply = decision.reply
        assert reply is not None
        body, _, _ = encode_body(decision.events, reply, decision.pushes, [])
        if phase is Phase.PAUSE:
            # What a round is committed to does tell of its hash, and nothing of its outcome.
            body = body.replace(*self._commitments(turn.actor, state.round + 1))  # type: ignore[attr-defined]
        sends = [(s.to, s.name, encode(s.data)) for s in decision.sends]
        if body != turn.body or sends != [(s.to, s.name, s.data) for s in turn.sends]:
            self._checks.violated(
                "secrecy",
                f"{turn.actor}:{turn.seq} ({type(command).__name__}) depends on the hash of its round:"
                f" {msgspec.msgpack.decode(turn.body)}, otherwise {msgspec.msgpack.decode(body)}",
            )

    def _is_over(self, turn: TurnRecord) -> bool:
        """Whether a running round has crashed by then: whoever is told so is told the truth. Where it
        must be ended before that, no hash is needed to tell."""
        book = self._books[turn.actor]
        reached = multiplier_at(max(0, turn.recorded_ms - book.started_ms))
        return book.crash_point == 100 or reached > book.crash_point

    def _commitments(self, actor: ActorId, number: int) -> tuple[bytes, bytes]:
        chain = self._books[actor].table.chain
        if number >= len(chain.hashes):
            return b"", b""
        return sha256(_hash_for(chain.salt)).hexdigest().encode(), chain.hashes[number - 1].hex().encode()

    def _command(self, turn: TurnRecord, shadow: Shadow) -> Any:
        """The command of a turn: a send's, or the one of an alarm with this fingerprint."""
        send = self._checks.sends.get(turn.command_id)
        if send is not None:
            return codec_of(shadow.behavior).commands[send.name](send.data)
        state: Any = shadow.state
        alarms = {
            "end_phase": EndPhase(state.round, state.phase),
            "announce": Announce(state.round, state.progressions),
            "settle_bets": SettleBets(state.round, state.settlings),
        }
        for name, data in alarms.items():
            if fingerprint_of(name, encode(data)) == turn.fingerprint:
                return data
        return None


def _no_entropy(size: int) -> bytes:
    raise AssertionError("a table draws nothing")
