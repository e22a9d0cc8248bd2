"""Login attempts on Postgres, counted before anything is tried."""

from __future__ import annotations

import asyncio

from persistence.postgres.account_stores import AccountStores
from tests.contract.people import digest, execute, value

ANN = digest("ann")
WINDOW_S = 600.0


async def test_of_a_hundred_at_once_five_pass(stores: AccountStores) -> None:
    waits = await asyncio.gather(*(stores.login_attempts.count(ANN, 5, WINDOW_S) for _ in range(100)))
    assert waits.count(None) == 5
    assert all(0 < wait <= WINDOW_S for wait in waits if wait is not None)
    assert await stores.login_attempts.count(digest("ben"), 5, WINDOW_S) is None


async def test_the_window_begins_with_the_first_attempt_and_ends_by_the_databases_clock(
    stores: AccountStores, dsn: str
) -> None:
    assert await stores.login_attempts.count(ANN, 1, WINDOW_S) is None
    ends = await value(dsn, "SELECT window_ends FROM login_attempts")
    for _ in range(3):
        assert await stores.login_attempts.count(ANN, 1, WINDOW_S) is not None
    assert await value(dsn, "SELECT window_ends FROM login_attempts") == ends
    await execute(dsn, "UPDATE login_attempts SET window_ends = clock_timestamp() + interval '9 s'")
    wait = await stores.login_attempts.count(ANN, 1, WINDOW_S)
    assert wait is not None
    assert wait <= 9
    await execute(dsn, "UPDATE login_attempts SET window_ends = clock_timestamp()")
    assert await stores.login_attempts.count(ANN, 1, WINDOW_S) is None
    assert await stores.login_attempts.count(ANN, 1, WINDOW_S) is not None
    assert await value(dsn, "SELECT window_ends > clock_timestamp() + interval '590 s' FROM login_attempts")


async def test_who_waits_as_long_as_they_are_told_may_try_again(stores: AccountStores) -> None:
    assert await stores.login_attempts.count(ANN, 1, 0.3) is None
    while (wait := await stores.login_attempts.count(ANN, 1, 0.3)) is not None:
        assert 0 < wait <= 0.3
        await asyncio.sleep(wait)


async def test_a_success_begins_anew(stores: AccountStores) -> None:
    for _ in range(6):
        wait = await stores.login_attempts.count(ANN, 5, WINDOW_S)
    assert wait is not None
    await stores.login_attempts.reset(ANN)
    await stores.login_attempts.reset(digest("nobody"))
    waits = [await stores.login_attempts.count(ANN, 5, WINDOW_S) for _ in range(6)]
    assert [wait is None for wait in waits] == [True] * 5 + [False]


async def test_invented_names_do_not_pile_up(stores: AccountStores, dsn: str) -> None:
    async def attempts(first: int) -> None:
        await asyncio.gather(
            *(
                stores.login_attempts.count(digest(str(number)), 5, WINDOW_S)
                for number in range(first, first + 40)
            )
        )

    await attempts(0)
    assert await value(dsn, "SELECT count(*) FROM login_attempts") == 40
    await execute(dsn, "UPDATE login_attempts SET window_ends = clock_timestamp()")
    # The same names among them, which count and are cleared away at the same time.
    await attempts(20)
    assert await value(dsn, "SELECT count(*) FROM login_attempts") == 40
