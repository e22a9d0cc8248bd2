"""A casino floor without a runtime: one table, its players, and the messages between them.

Time stands still until it is told to move, and nothing is delivered by itself: a test decides what
arrives when. What the runtime promises is kept: messages from one actor to another arrive in order,
a question waits for its answer's turn before the next one leaves, and an alarm has effect once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec
import pytest

from actors.catalogue import behaviors
from actors.crash.hashes import ChainExhausted, ChainFacts
from actors.crash.round import Phase, TableRules
from actors.crash.table import CrashTable
from actors.games.crash import crash_point
from runtime.behavior import Alarm, Answer, Context, Decision, Refusal, Send
from runtime.errors import Rejected
from runtime.identity import ActorId
from runtime.turn import decode_body, encode_body

START_MS = 1_767_225_600_000
SALT = "5a17" * 16
ESCROW = "escrow:crash:main:1"
TABLE = "crash/main"


@cache
def hash_for(point: int) -> bytes:
    """A round's hash whose crash point is exactly that."""
    for number in count():
        candidate = sha256(f"{point} {number}".encode()).digest()
        if crash_point(candidate, SALT) == point:
            return candidate
    raise AssertionError


class Chains:
    """Rounds that crash where the test wants, and then the chain is exhausted."""

    def __init__(self, *points: int) -> None:
        self.hashes = [hash_for(point) for point in points]

    def hash_of(self, table: str, round_number: int) -> bytes:
        if round_number > len(self.hashes):
            raise ChainExhausted
        return self.hashes[round_number - 1]

    def salt_of(self, table: str, round_number: int) -> str:
        return SALT

    def public(self, table: str, round_number: int) -> ChainFacts:
        return ChainFacts("ab" * 32, SALT, "test", 1, len(self.hashes))


class Table:
    """Runs commands against one table, and keeps its journal of encoded events."""

    def __init__(self, *points: int, name: str = "main", **rules: int) -> None:
        self.name = name
        self.chains = Chains(*points)
        self.rules = TableRules(**rules)
        self.behavior = CrashTable({name: self.rules}, self.chains)
        self.actor = ActorId(f"crash/{name}")
        self.now_ms = START_MS
        self.state = self.behavior.initial(name)
        self.journal: list[bytes] = []
        self.alarms_done: dict[str, Decision] = {}

    def give(self, name: str, /, sender: str | None = None, **data: Any) -> Decision:
        return self.run(name, msgspec.msgpack.encode(data), sender)

    def run(self, name: str, data: bytes, sender: str | None = None, command_id: str = "x") -> Decision:
        spec = self.behavior.commands[name]
        command = msgspec.msgpack.decode(data, type=spec.data)
        context = Context(
            self.actor, command_id, self.now_ms, _no_entropy, ActorId(sender) if sender else None
        )
        before = self.snapshot()
        try:
            decision = self.behavior.decide(self.state, command, context)
        except Rejected as rejected:
            if rejected.code not in spec.errors:
                pytest.fail(f"{name} does not declare {rejected.code}")
            if self.snapshot() != before:
                pytest.fail("a refused command changed the state")
            raise
        assert self.snapshot() == before, "decide changed the state"
        assert isinstance(decision.reply, spec.result)
        for push in decision.pushes:
            assert isinstance(push.data, self.behavior.pushes[push.type].data)
        assert not decision.transfers, "gold moves in sessions only"
        body, _, _ = encode_body(decision.events, decision.reply, decision.pushes, [])
        self.journal.append(bytes(decode_body(body).events))
        self.apply(self.state, self.journal[-1])
        return decision

    def rejection(self, name: str, /, sender: str | None = None, **data: Any) -> str:
        """The code of a refusal that must come."""
        try:
            self.give(name, sender, **data)
        except Rejected as rejected:
            return rejected.code
        raise AssertionError(f"{name} was not refused")

    def alarm(self) -> Alarm | None:
        return self.behavior.alarm(self.state)

    def fire(self) -> Decision:
        """Let the next alarm go off now, whatever the time."""
        alarm = self.alarm()
        assert alarm is not None
        assert alarm.id not in self.alarms_done, f"{alarm.id} would happen twice"
        decision = self.run(alarm.name, msgspec.msgpack.encode(alarm.data), self.actor, alarm.id)
        self.alarms_done[alarm.id] = decision
        return decision

    def fire_in_time(self) -> Decision:
        alarm = self.alarm()
        assert alarm is not None
        self.now_ms = max(self.now_ms, alarm.at_ms)
        return self.fire()

    def run_until(self, now_ms: int) -> list[Decision]:
        """Every alarm in time, and then it is ``now_ms``."""
        decisions = []
        while (alarm := self.alarm()) is not None and alarm.at_ms <= now_ms:
            self.now_ms = max(self.now_ms, alarm.at_ms)
            try:
                decisions.append(self.fire())
            except Rejected:
                break
        self.now_ms = now_ms
        return decisions

    def run_until_phase(self, phase: Phase) -> list[Decision]:
        """Every alarm in time, until the table has entered ``phase``."""
        decisions = []
        while not decisions or self.state.phase is not phase:
            decisions.append(self.fire_in_time())
        return decisions

    def bet(self, user: str, stake: int, auto: int | None = None, number: int = 1) -> Decision:
        return self.give("take_crash_bet", f"session/{user}", bet=number, stake=stake, auto=auto)

    def cash_out(self, user: str, number: int = 1) -> Decision:
        return self.give("take_crash_cash_out", f"session/{user}", **self.cash_out_data(number))

    def cash_out_data(self, number: int = 1) -> dict[str, Any]:
        number_of_round = self.state.round
        return {
            "bet": number,
            "round": number_of_round,
            "escrow": f"escrow:crash:{self.name}:{number_of_round}",
        }

    def apply(self, state: Any, events: bytes) -> None:
        for event in msgspec.msgpack.decode(events, type=list[self.behavior.events]):
            self.behavior.evolve(state, event)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.state)

    def restore(self) -> None:
        """What a host does that has not had this table before: nothing but the journal is left."""
        replayed = self.behavior.initial(self.name)
        for events in self.journal:
            self.apply(replayed, events)
        assert replayed == self.state
        assert msgspec.msgpack.decode(self.snapshot(), type=self.behavior.state_type) == self.state
        self.behavior = CrashTable({self.name: self.rules}, self.chains)
        self.state = replayed


def _no_entropy(size: int) -> bytes:
    raise AssertionError("a table draws nothing")


class Question(msgspec.Struct):
    send: Send
    answer: bytes | None = None


class Floor:
    """A table, players who have signed in, one ledger. ``replies`` has what clients were told."""

    def __init__(self, new_player: Any, table: Table, *names: str) -> None:
        self.table = table
        self.ledger: Counter[str] = Counter()
        session = behaviors({table.name: table.rules})["session"]
        self.players = {
            name: new_player(name, now_ms=table.now_ms, behavior=session, ledger=self.ledger)
            for name in names
        }
        self.lanes: dict[tuple[str, str], deque[Question]] = {}
        self.replies: dict[str, list[Any]] = {name: [] for name in names}

    def ask(self, user: str, name: str, **data: Any) -> Decision | None:
        """A client's command. None: it was refused at once."""
        player = self.players[user]
        player.now_ms = self.table.now_ms
        try:
            decision = player.give(name, **data)
        except Rejected as rejected:
            self.replies[user].append(Refusal(rejected.code, rejected.message))
            return None
        self._queue(player.actor, decision)
        if decision.reply is not None:
            self.replies[user].append(decision.reply)
        return decision

    def _queue(self, sender: str, decision: Decision) -> None:
        for send in decision.sends:
            self.lanes.setdefault((sender, send.to), deque()).append(Question(send))

    def waiting(self) -> list[tuple[str, str]]:
        return sorted(lane for lane, sends in self.lanes.items() if sends)

    def deliver(self, lane: tuple[str, str]) -> Decision | None:
        """The next step of a lane: its first message arrives, or that message's answer comes back.
        Returns the decision, None when it was refused."""
        question = self.lanes[lane][0]
        send = question.send
        if question.answer is not None:
            self.lanes[lane].popleft()
            user = lane[0].removeprefix("session/")
            decision = self._answered(user, send, question.answer)
            self.replies[user].append(decision.reply)
            return decision
        decision = None
        answer = Answer()
        data = msgspec.msgpack.encode(send.data)
        try:
            if send.to == self.table.actor:
                decision = self.table.run(send.name, data, lane[0])
            else:
                player = self.players[send.to.removeprefix("session/")]
                player.now_ms = self.table.now_ms
                decision = player.give(send.name, ActorId(lane[0]), **msgspec.msgpack.decode(data))
        except Rejected as rejected:
            if not send.then:
                pytest.fail(f"a send was refused for good: {rejected}")
            answer = Answer(refusal=Refusal(rejected.code, rejected.message))
        else:
            answer = Answer(msgspec.msgpack.encode(decision.reply))
            self._queue(send.to, decision)
        self._check_accounts()
        if send.then:
            question.answer = msgspec.msgpack.encode(answer)
        else:
            self.lanes[lane].popleft()
        return decision

    def _answered(self, user: str, send: Send, answer: bytes) -> Decision:
        player = self.players[user]
        player.now_ms = self.table.now_ms
        decision = player.give(send.then, send.to, **msgspec.msgpack.decode(answer))
        self._queue(player.actor, decision)
        self._check_accounts()
        return decision

    def deliver_all(self) -> None:
        while waiting := self.waiting():
            for lane in waiting:
                self.deliver(lane)

    def run_until(self, now_ms: int) -> None:
        for decision in self.table.run_until(now_ms):
            self._queue(self.table.actor, decision)

    def run_until_phase(self, phase: Phase) -> None:
        for decision in self.table.run_until_phase(phase):
            self._queue(self.table.actor, decision)

    def fire(self) -> None:
        self._queue(self.table.actor, self.table.fire())

    def bet(self, user: str, stake: int, auto: float | None = None) -> Any:
        """Place a bet, deliver all that comes of it, and return what the client is told."""
        self.ask(user, "place_crash_bet", stake=stake, table=self.table.name, auto_cash_out=auto)
        self.deliver_all()
        return self.replies[user][-1]

    def cash_out(self, user: str) -> Any:
        self.ask(user, "cash_out_crash", table=self.table.name)
        self.deliver_all()
        return self.replies[user][-1]

    def bets(self, user: str) -> Any:
        return msgspec.to_builtins(self.players[user].give("get_crash_bets").reply)

    def escrows(self) -> dict[str, int]:
        """Those that hold gold."""
        return {name: gold for name, gold in self.ledger.items() if name.startswith("escrow:") and gold}

    def _check_accounts(self) -> None:
        for account, gold in self.ledger.items():
            assert gold >= 0 or not account.startswith(("escrow:", "player:")), account


def opened(*points: int, **rules: int) -> Table:
    table = Table(*points, **rules)
    table.fire()
    assert table.state.phase is Phase.BETTING
    return table


def start(table: Table) -> Table:
    table.run_until_phase(Phase.RUNNING)
    return table


def at(table: Table, elapsed_ms: int) -> Table:
    """Move time without letting any alarm go off."""
    table.now_ms = table.state.started_ms + elapsed_ms
    return table


def pushed(decisions: Iterable[Decision]) -> list[tuple[str, dict[str, Any]]]:
    return [(push.type, msgspec.to_builtins(push.data)) for d in decisions for push in d.pushes]


def settlements(decisions: Iterable[Decision]) -> dict[str, tuple[int | None, int]]:
    """What each session is sent word of."""
    sends = [send for decision in decisions for send in decision.sends]
    assert all(send.name == "settle_crash_bet" and not send.then for send in sends)
    return {send.to: (send.data.multiplier, send.data.payout) for send in sends}


def finish(table: Table) -> list[Decision]:
    """What the alarms decide until the round is settled."""
    return [] if table.state.phase is Phase.PAUSE else table.run_until_phase(Phase.PAUSE)


def run_to(floor: Floor, elapsed_ms: int) -> None:
    """Into the running round, with every alarm in time."""
    if floor.table.state.phase is Phase.BETTING:
        floor.run_until_phase(Phase.RUNNING)
    floor.run_until(floor.table.state.started_ms + elapsed_ms)


def code_of(reply: Any) -> str:
    assert isinstance(reply, Refusal)
    return reply.code


def transfers(decision: Decision) -> list[tuple[str, str, int]]:
    return [tuple(transfer[:3]) for transfer in decision.transfers]
