"""``crash``: a crowd at one table, which bets, cashes out, and checks every round and payout."""

from __future__ import annotations

from benchmarks.crash.crowd import CrashCrowd
from benchmarks.load.generator import Load
from benchmarks.options import CrashOptions, LoadOptions
from benchmarks.scenarios.scenario import Figure, Scenario


class CrashLoad(Load):
    """The pace is the table's: everybody bets in the same few seconds. The bots are those of ``casino
    bots --game crash``."""

    def __init__(self, options: LoadOptions) -> None:
        self._bots = CrashCrowd(
            CrashOptions(
                url=options.url,
                players=options.players,
                table=options.table,
                sign_up_parallel=options.sign_up_parallel,
                sign_up_timeout_s=options.sign_up_timeout_s,
                drain_s=options.drain_s,
                seed=options.seed,
            )
        )
        super().__init__(options, self._bots)
        self._ended_before: set[int] = set()

    def begin(self) -> None:
        self._ended_before = set(self._bots.game.feed.rounds_ended)

    def second(self, now_ns: int) -> None:
        game = self._bots.game
        self.heard("bet", game.place.drain())
        self.heard("cash_out", game.cash_out.drain())
        self.heard("tick", game.feed.lag.drain(), is_apart=True)

    async def stop(self) -> None:
        deliveries = self._bots.game.feed.deliveries
        await super().stop()
        found = self._bots.result()
        # Unlike a schedule's, these commands are only counted when they are answered.
        self.recorder.arrivals += found.unanswered
        self.figures = {
            "rounds": len(self._bots.game.feed.rounds_ended - self._ended_before),
            "bets": found.bets,
            "cash_outs": found.cash_outs,
            "bets_open": found.bets_open,
            "violations": sum(found.violations.values()),
            "deliveries": deliveries,
            "refused": sum(found.refused.values()),
        }


SCENARIO = Scenario(
    name="crash",
    summary="bets, ticks and cash-outs at a Crash table; every round and payout is checked",
    measured="Every connection is a guest at the same Crash table who bets by one of several strategies and "
    "cashes out in time. The latency of a bet or a cash-out runs from its sending to its durable answer, "
    "which the player's session and the table have to agree on; a tick's lag, which is shown apart, from the "
    "time written into it to its arrival.",
    load=CrashLoad,
    kinds=("bet", "cash_out", "tick"),
    arrival="bets and cash-outs",
    connections=200,
    duration_s=60.0,
    warm_up_s=0.0,
    drain_s=180.0,
    figures=(
        Figure("rounds", "", "rounds that ended", "max"),
        Figure("bets", "", "bets taken"),
        Figure("cash_outs", "", "cash-outs by hand"),
        Figure("bets_open", "", "bets whose round had not ended when the run did"),
        Figure("violations", "", "rounds, payouts or balances that were wrong"),
        Figure("deliveries", "", "events of the table, counted on every connection"),
        Figure("refused", "", "commands that lost a race with the round, as the rules have it"),
    ),
    thresholds=("error_rate<0.001", "lost==0", "violations==0"),
)
