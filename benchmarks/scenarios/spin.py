"""``spin``: the command that everything is about, durable before its answer leaves."""

from __future__ import annotations

from itertools import cycle
from time import monotonic_ns

from benchmarks.load.commander import Commander
from benchmarks.load.generator import Load, LoadCrowd
from benchmarks.options import LoadOptions
from benchmarks.scenarios.scenario import Scenario
from clients.token_keeper import TokenKeeper

_KINDS = {"spin_slots": "spin"}
_DATA = {"stake": 1}


class SpinLoad(Load):
    """Arrivals go to the players in turn; in a closed loop each player spins when it was answered."""

    def __init__(self, options: LoadOptions) -> None:
        self._players = LoadCrowd(options, self._new_player)
        super().__init__(options, self._players)
        self._turns = cycle(range(options.players))

    def arrive(self, intended_ns: int) -> None:
        player = self._players.players.get(next(self._turns))
        if player is None:
            self.failed("no_player", intended_ns)
        else:
            player.command("spin_slots", _DATA, intended_ns)

    def begin(self) -> None:
        if self.options.is_closed:
            for player in list(self._players.players.values()):
                self._spin(player)

    def _spin(self, player: Commander) -> None:
        if not self.is_ending and not player.unanswered:
            now_ns = monotonic_ns()
            self.began(now_ns)
            player.command("spin_slots", _DATA, now_ns)

    def _new_player(self, crowd: LoadCrowd[Commander], tokens: TokenKeeper, id_prefix: str) -> Commander:
        on_over = self._spin if self.options.is_closed else None
        return Commander(self, crowd, tokens, id_prefix, _KINDS, on_over)


SCENARIO = Scenario(
    name="spin",
    summary="durable commands: one spin of the slot machine each, answered when it is on disk",
    measured="One command is one spin of a slot machine by a signed-in guest on a WebSocket. Its latency "
    "runs until the result has arrived; the casino answers only when the spin, with its ledger entries, is "
    "committed to disk, and tells the player three events besides.",
    load=SpinLoad,
    kinds=("spin",),
    arrival="commands",
    connections=100,
    rate=1000.0,
    can_be_closed=True,
)
