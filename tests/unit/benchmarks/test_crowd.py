import pytest

from benchmarks.crowd import Crowd, SignUpFailed
from benchmarks.options import BotOptions
from tests.unit.benchmarks.fake_casino import FakeCasino


async def test_everybody_comes_in_before_anybody_plays() -> None:
    async with FakeCasino() as casino, Crowd(BotOptions(url=casino.url, players=5)) as crowd:
        await crowd.gather()
        assert crowd.players_ready == 5
        assert casino.commands == 0
        crowd.play()
        await crowd.stop()
        result = crowd.result()
        assert (result.acknowledged, result.unanswered) == (5, 0)


async def test_sign_ups_are_paced_and_repeated() -> None:
    async with FakeCasino() as casino:
        casino.refuse_sign_ups = 3
        options = BotOptions(url=casino.url, players=4, sign_ups_per_s=200.0)
        async with Crowd(options) as crowd:
            await crowd.gather()
        assert (casino.sign_ups, len(casino.players)) == (7, 4)


async def test_nobody_lets_them_in() -> None:
    async with FakeCasino() as casino:
        casino.refuse_tokens = True
        async with Crowd(BotOptions(url=casino.url, players=2)) as crowd:
            with pytest.raises(SignUpFailed, match="token_invalid"):
                await crowd.gather()


async def test_nobody_is_there() -> None:
    async with Crowd(BotOptions(url="http://127.0.0.1:9", players=2, sign_up_timeout_s=0.2)) as crowd:
        with pytest.raises(SignUpFailed, match="0 of 2 players"):
            await crowd.gather()


async def test_what_was_never_answered_is_counted() -> None:
    async with FakeCasino() as casino, Crowd(BotOptions(url=casino.url, players=2, drain_s=0.1)) as crowd:
        await crowd.gather()
        casino.faults.lose_reply = 1
        crowd.play()
        await crowd.stop()
        assert crowd.result().unanswered == 2
