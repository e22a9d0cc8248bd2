"""The ceiling does the same as the casino but for the rules, so what it sends and stores is as long."""

import re
from itertools import count
from os import urandom
from pathlib import Path

import benchmarks as benchmarks_package
from actors.catalogue import behaviors
from actors.games.slots import SpinSlots
from actors.session import OpenSession
from benchmarks.baselines import ceiling_wiring
from benchmarks.baselines.ceiling_wiring import Ceiling
from benchmarks.baselines.echo import _SPUN
from benchmarks.measures.round_trip import ROW_BYTES
from runtime.behavior import Context
from runtime.turn import encode_body

_USER = "u_" + 26 * "a"


def _context(number: int) -> Context:
    return Context(f"session/{_USER}", f"id-{number}", 1_767_225_600_000, urandom)


def _casino() -> tuple[int, int]:
    """Bytes of the journal's row and of the reply of a hundredth spin."""
    session = behaviors()["session"]
    state = session.initial(_USER)
    numbers = count()
    decision = session.decide(state, OpenSession(), _context(next(numbers)))
    for _ in range(100):
        for event in decision.events:
            session.evolve(state, event)
        decision = session.decide(state, SpinSlots(1), _context(next(numbers)))
    body, reply, _ = encode_body(decision.events, decision.reply, decision.pushes, ())  # type: ignore[arg-type]
    return len(body), len(reply)


def _ceiling() -> tuple[int, int]:
    ceiling = Ceiling()
    state = ceiling.initial(_USER)
    for number in range(100):
        decision = ceiling.decide(state, ceiling_wiring.SpinSlots(1), _context(number))
        assert len(decision.events) == 1
        assert not decision.transfers
        ceiling.evolve(state, decision.events[0])
    assert state.count == 100
    body, reply, pushes = encode_body(decision.events, decision.reply, decision.pushes, ())  # type: ignore[arg-type]
    assert pushes is None
    return len(body), len(reply)


def test_rows_and_replies_are_as_long_as_the_casinos() -> None:
    (row, reply), (row_here, reply_here) = _casino(), _ceiling()
    assert abs(row - row_here) <= 0.02 * row
    assert abs(reply - reply_here) <= 0.03 * reply
    assert abs(len(_SPUN) - reply) <= 0.03 * reply
    assert abs(ROW_BYTES - row) <= 0.02 * row


def test_nobody_else_among_the_benchmarks_knows_the_house_from_inside() -> None:
    """Whoever imported the two would get around the layers, of which they are exempt."""
    benchmarks = Path(benchmarks_package.__file__).parent
    importers = [
        path.name
        for path in benchmarks.rglob("*.py")
        if re.search(r"import.*\bceiling_(casino|wiring)|\bceiling_(casino|wiring) import", path.read_text())
    ]
    assert importers == ["ceiling_casino.py"]
