"""Compares what the bots were told with what the server's journal holds.

Owns the rules of the comparison; where the server's truth comes from is the caller's business
(this package may not read a database). Streams both sides: a million commands take some 200 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.command_log import Acknowledged, PlayerLeft, RunStarted, read_log

UNJOURNALED = frozenset({"get_profile", "get_crash_bets"})
"""Commands that change nothing, and so leave no trace in a journal."""

_EXAMPLES_MAX = 20

_canonical = msgspec.json.Encoder(order="sorted").encode


class JournaledReply(NamedTuple):
    """One turn of a player's session as the server has it: what its command was answered with."""

    user_id: str
    command_id: str
    reply: Mapping[str, Any]


@dataclass
class LogCheck:
    """The outcome. ``problems`` maps a kind of problem to its number; ``examples`` has a few in words."""

    acknowledged: int = 0
    """Commands the bots were told are done, and that should be in the journal."""
    matched: int = 0
    """Those that are there, once, with the same reply."""
    applied_unacknowledged: int = 0
    """Commands in the journal whose answer never reached the bot: allowed, it never claimed to know."""
    journal_turns: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems and self.acknowledged > 0

    def summary(self) -> str:
        """One line for a test's message or a report."""
        if self.acknowledged == 0:
            return "the log holds no acknowledged command"
        found = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.problems.items()))
        return (
            f"{self.acknowledged} acknowledged, {self.matched} found once with the same reply, "
            f"{self.applied_unacknowledged} applied without an answer; {found or 'no problem'}"
        )

    def note(self, kind: str, example: str) -> None:
        self.problems[kind] = self.problems.get(kind, 0) + 1
        if len(self.examples) < _EXAMPLES_MAX:
            self.examples.append(f"{kind}: {example}")


class _Told:
    """What the log says, by (user, command id)."""

    def __init__(self) -> None:
        self.prefixes: list[str] = []
        self.replies: dict[tuple[str, str], bytes] = {}
        self.unanswered: set[tuple[str, str]] = set()
        self.final_gold: dict[str, int] = {}
        self.users: set[str] = set()


class _Course:
    """One player's journal, followed in its order."""

    __slots__ = ("gold", "gold_since_last_command", "nonce", "server_seed_hash")

    def __init__(self) -> None:
        self.gold: int | None = None
        self.gold_since_last_command: set[int] = set()
        """Balances after the last command of the bot's own, and after what came to it later (a
        gift can arrive when the bot has left)."""
        self.nonce = -1
        self.server_seed_hash: str | None = None

    def plays_under(self, server_seed_hash: Any) -> int:
        """Plays seen so far under this server seed, which is the next nonce."""
        return self.nonce + 1 if server_seed_hash == self.server_seed_hash else 0


def check_log(
    log: Path | str | Iterable[Path],
    truth: Iterable[tuple[str, str, Any]],
    *,
    final_gold: Mapping[str, int] | None = None,
    unjournaled: frozenset[str] = UNJOURNALED,
) -> LogCheck:
    """Compare a run's log with the journal.

    Args:
        log: the file of ``casino bots --log``, or all of them when several processes wrote.
        truth: every turn of the players' sessions as (user_id, command_id, reply), each player's
            in the order of the journal. Turns that no bot asked for (the first one of a session,
            a gift received) belong in it, too; other players' turns are ignored.
        final_gold: each player's balance by the ledger, if it is to be compared, too.
        unjournaled: commands that need not be in the journal.

    Checks that

    - each acknowledged command is in the journal exactly once, with the reply the bot was given;
    - no command id of the run is in the journal that no bot ever gave;
    - the nonces of each player's plays are 0, 1, 2 … under each server seed, as many as were
      revealed with it;
    - each play's ``gold_balance`` follows from the one before by its stake and payout;
    - the last balance a bot's events told it is the one after its last command, or after a gift
      that came later; and the last one in the journal is the ledger's.
    """
    check = LogCheck()
    told = _read(check, [Path(log)] if isinstance(log, str | Path) else list(log), unjournaled)
    seen: set[tuple[str, str]] = set()
    courses: dict[str, _Course] = {}
    prefixes = tuple(told.prefixes)
    for user_id, command_id, reply in _with_answers(truth):
        if user_id not in told.users:
            continue
        check.journal_turns += 1
        key = (user_id, command_id)
        if key in seen:
            check.note("applied twice", f"{user_id} {command_id}")
        else:
            seen.add(key)
            _compare(check, told, key, reply, prefixes)
        course = courses.setdefault(user_id, _Course())
        if command_id.startswith(prefixes):
            course.gold_since_last_command.clear()
        _follow(check, course, key, reply)
    for key in told.replies.keys() - seen:
        check.note("acknowledged but lost", f"{key[0]} {key[1]}")
    _compare_final_gold(check, told, courses, final_gold)
    return check


def _with_answers(truth: Iterable[tuple[str, str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The turns with a deferred command's answer in the place where it was given, under the command's id.

    The turn of a deferred command (``place_crash_bet``, ``cash_out_crash``) has for its reply a text:
    the id of the player's later turn that answers it. A command without that turn has no answer yet,
    and a refusal (``[code, message]``) is none that a bot would have logged: both are left out.
    """
    deferred: dict[tuple[str, str], str] = {}
    for user_id, command_id, reply in truth:
        if isinstance(reply, str):
            deferred[user_id, reply] = command_id
            continue
        asked = deferred.pop((user_id, command_id), None)
        if isinstance(reply, Mapping):
            yield user_id, asked or command_id, reply


def _read(check: LogCheck, paths: list[Path], unjournaled: frozenset[str]) -> _Told:
    told = _Told()
    for line in read_log(paths):
        match line:
            case Acknowledged(user_id=user_id, command_id=command_id, name=name, reply=reply):
                told.users.add(user_id)
                if name in unjournaled:
                    continue
                check.acknowledged += 1
                if (user_id, command_id) in told.replies:
                    check.note("acknowledged twice", f"{user_id} {command_id}")
                told.replies[user_id, command_id] = _canonical(reply)
            case PlayerLeft(user_id=user_id, unanswered=unanswered, gold_balance=gold):
                told.users.add(user_id)
                told.unanswered.update((user_id, command_id) for command_id in unanswered)
                if gold is not None and not unanswered:
                    told.final_gold[user_id] = gold
            case RunStarted(prefix=prefix):
                told.prefixes.append(prefix)
    return told


def _compare(
    check: LogCheck,
    told: _Told,
    key: tuple[str, str],
    reply: Mapping[str, Any],
    prefixes: tuple[str, ...],
) -> None:
    acknowledged = told.replies.get(key)
    if acknowledged is not None:
        if _canonical(reply) == acknowledged:
            check.matched += 1
        else:
            check.note(
                "another reply in the journal", f"{key[0]} {key[1]}: bot {acknowledged!r}, journal {reply!r}"
            )
    elif key in told.unanswered:
        check.applied_unacknowledged += 1
    elif key[1].startswith(prefixes):
        check.note("in the journal, unknown to the bot", f"{key[0]} {key[1]}")


def _follow(check: LogCheck, course: _Course, key: tuple[str, str], reply: Mapping[str, Any]) -> None:
    where = f"{key[0]} {key[1]}"
    gold, stake, payout = (reply.get(name) for name in ("gold_balance", "stake", "payout"))
    if "round" in reply:
        # A Crash bet moves gold in turns of its own: only the balance itself can be followed.
        stake = payout = None
    if stake is not None and payout is not None and course.gold is not None:
        expected_gold = course.gold - stake + payout
        if gold != expected_gold:
            check.note("gold does not follow", f"{where}: {course.gold} - {stake} + {payout} is not {gold}")
    if isinstance(gold, int):
        course.gold = gold
    if course.gold is not None:
        course.gold_since_last_command.add(course.gold)
    nonce, server_seed_hash = reply.get("nonce"), reply.get("server_seed_hash")
    plays = reply.get("plays")
    if plays is not None:
        expected_plays = course.plays_under(reply.get("revealed_server_seed_hash"))
        if plays != expected_plays:
            check.note("nonce not consecutive", f"{where}: {plays} plays revealed, journal {expected_plays}")
    if stake is None or payout is None or not isinstance(nonce, int):
        return
    expected = course.plays_under(server_seed_hash)
    if nonce != expected:
        check.note("nonce not consecutive", f"{where}: {nonce} instead of {expected}")
    course.nonce, course.server_seed_hash = nonce, server_seed_hash


def _compare_final_gold(
    check: LogCheck, told: _Told, courses: Mapping[str, _Course], final_gold: Mapping[str, int] | None
) -> None:
    for user_id, told_gold in told.final_gold.items():
        course = courses.get(user_id)
        if course is not None and told_gold not in course.gold_since_last_command:
            check.note(
                "final gold", f"{user_id}: bot {told_gold}, journal {sorted(course.gold_since_last_command)}"
            )
    if final_gold is None:
        return
    for user_id, course in courses.items():
        if course.gold is not None and final_gold.get(user_id) != course.gold:
            check.note("final gold", f"{user_id}: journal {course.gold}, ledger {final_gold.get(user_id)}")
