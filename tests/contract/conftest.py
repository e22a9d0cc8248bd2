"""Storage for the contract suite: in memory, and on an embedded Postgres of its own, which is started
once per test process."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from persistence.clickhouse.client import ClickHouse
from persistence.embedded.postgres import EmbeddedPostgres
from persistence.postgres.account_stores import AccountStores
from persistence.postgres.migrate import migrate
from tests.contract import clickhouse_engines
from tests.contract.storages import MemoryStorage, PostgresStorage, Storage


@pytest.fixture(scope="session")
def data_directory() -> Iterator[Path]:
    """Not pytest's own temporary directory, which other runs close to every other account."""
    path = Path(tempfile.mkdtemp(prefix="casino-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(data_directory: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_directory)
    asyncio.run(migrate(server.start()))
    yield server
    server.stop()


_numbers = itertools.count()


@pytest.fixture
async def dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """A fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    admin_dsn = postgres_server.dsn.replace("/casino?", "/postgres?")
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE casino")
    yield postgres_server.dsn.replace("/casino?", f"/{name}?")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def postgres(dsn: str) -> AsyncIterator[PostgresStorage]:
    storage = PostgresStorage(dsn)
    yield storage
    await storage.close()


@pytest.fixture(params=["memory", "postgres"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return MemoryStorage()
    result: PostgresStorage = request.getfixturevalue("postgres")
    return result


@pytest.fixture
async def incarnation(storage: Storage) -> int:
    return await storage.membership.register("session-host-1", "unix:/somewhere", 60.0)


@pytest.fixture
async def stores(dsn: str) -> AsyncIterator[AccountStores]:
    """With connections enough for calls to meet in the database, and not before it."""
    stores = AccountStores(dsn, connections_max=20, timeout_s=60)
    yield stores
    await stores.close()


@pytest.fixture(params=["chdb", "http"])
async def clickhouse(request: pytest.FixtureRequest) -> AsyncIterator[ClickHouse]:
    """Of an empty store."""
    with clickhouse_engines.target(request.param) as target:
        async with clickhouse_engines.opened(target) as clickhouse:
            yield clickhouse
