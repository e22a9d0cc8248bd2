"""The hash chains of Crash on Postgres: kept so that only the key reads them, and fixed once announced."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from actors.games.hash_chain import ChainParts, HashChain, generate, is_link
from deploy import crash_chains as deployment
from deploy.commands.crash_chain import crash_chain
from deploy.crash_chains import OWN_SALT_SOURCE, chains_of, generate_chain, open_chains, prepare_tables
from deploy.instance import Instance
from deploy.settings import CrashTable, Settings
from persistence.embedded.postgres import programs
from persistence.postgres.connections import DatabaseUnavailable
from persistence.postgres.crash_chains import (
    ChainError,
    ChainMisplaced,
    ChainRecord,
    ChainUnreadable,
    CrashChains,
    SaltRefused,
)
from runtime.identity import ActorId
from runtime.journal import TurnRecord
from tests.contract.storages import PostgresStorage
from tests.contract.turns import batch, turn

KEY = bytes(range(32))
SALT = "00000000000000000001ab" + 42 * "5"
PARTS = generate(b"a seed that only these tests know", 250, 40)
MORE = generate(b"another seed, of the same tests..", 30, 40)


@pytest.fixture
async def chains(dsn: str) -> AsyncIterator[CrashChains]:
    store = CrashChains(dsn)
    yield store
    await store.close()


async def add(
    store: CrashChains, parts: ChainParts = PARTS, table: str = "main", first_round: int | None = None
) -> ChainRecord:
    return await store.add(
        table,
        KEY,
        length=parts.length,
        checkpoint_interval=parts.checkpoint_interval,
        checkpoints=parts.checkpoints,
        first_round=first_round,
    )


async def execute(dsn: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def test_what_is_stored_is_read_back(chains: CrashChains) -> None:
    added = await add(chains)
    assert (added.first_round, added.last_round, added.salt) == (1, 250, None)
    assert await chains.open_chains("main", KEY) == [], "no round before the salt is known"
    published = await chains.publish("main", SALT, "bitcoin block 1")
    assert (published.salt, published.salt_source) == (SALT, "bitcoin block 1")
    assert await chains.public("main") == [published]
    [(record, chain)] = await open_chains(chains, "main", KEY)
    assert record == published
    whole = HashChain(PARTS)
    assert [chain.hash_at(i) for i in range(251)] == [whole.hash_at(i) for i in range(251)]
    assert await chains.open_chains("elsewhere", KEY) == []


async def test_an_open_chain_does_not_show_itself(chains: CrashChains) -> None:
    await add(chains)
    [opened] = await chains.open_chains("main", KEY, unpublished=True)
    assert opened.checkpoints == PARTS.checkpoints
    assert not any(
        hash_.hex()[:8] in repr(opened) or repr(hash_) in repr(opened) for hash_ in PARTS.checkpoints[1:]
    )


async def test_another_key_opens_nothing(chains: CrashChains) -> None:
    await add(chains)
    with pytest.raises(ChainUnreadable, match="cannot be read with this key"):
        await chains.open_chains("main", bytes(32), unpublished=True)


@pytest.mark.parametrize(
    "damage",
    [
        *(
            f"UPDATE crash_chain_checkpoints SET masked = set_byte(masked, 7, 255 - get_byte(masked, 7))"
            f" WHERE index = {index}"
            for index in (0, 40, 120, 240, 250)
        ),
        *(f"DELETE FROM crash_chain_checkpoints WHERE index = {index}" for index in (0, 120, 250)),
        "DELETE FROM crash_chain_checkpoints",
        "UPDATE crash_chain_checkpoints SET index = 121 WHERE index = 120",
        # Rounds that were played would come again.
        "UPDATE crash_chains SET first_round = 101",
        "UPDATE crash_chains SET length = 251",
        "UPDATE crash_chains SET checkpoint_interval = 41",
        "UPDATE crash_chains SET table_name = 'main', terminating_hash = sha256(terminating_hash)",
    ],
)
async def test_a_changed_row_is_noticed(chains: CrashChains, dsn: str, damage: str) -> None:
    await add(chains)
    await execute(dsn, f"ALTER TABLE crash_chains DISABLE TRIGGER USER; {damage}")
    with pytest.raises(ChainUnreadable):
        await chains.open_chains("main", KEY, unpublished=True)


@pytest.mark.parametrize("wrong", [1, -2])
async def test_hashes_that_are_no_chain_are_noticed(chains: CrashChains, wrong: int) -> None:
    checkpoints = list(PARTS.checkpoints)
    checkpoints[wrong] = bytes(32)
    await add(chains, ChainParts(PARTS.length, PARTS.checkpoint_interval, tuple(checkpoints)))
    with pytest.raises(ChainUnreadable, match="does not lead to"):
        await chains.open_chains("main", KEY, unpublished=True)


async def test_chains_of_a_table_follow_one_another(chains: CrashChains) -> None:
    await add(chains)
    for first_round in (1, 2, 250, 252):
        with pytest.raises(ChainMisplaced, match=r"begins with round 251, and not with round"):
            await add(chains, MORE, first_round=first_round)
    assert (await add(chains, MORE)).first_round == 251
    with pytest.raises(ChainMisplaced, match="begins with round 1, and not with round 2"):
        await add(chains, generate(bytes(32), 5, 5), table="other", first_round=2)
    with pytest.raises(ChainMisplaced):
        await add(chains, table="other")  # its hashes are another table's future
    assert [(each.table, each.first_round) for each in await chains.public()] == [("main", 1), ("main", 251)]


async def test_of_two_at_the_same_time_one_is_refused(chains: CrashChains, dsn: str) -> None:
    other = CrashChains(dsn)
    results = await asyncio.gather(
        add(chains, first_round=1), add(other, MORE, first_round=1), return_exceptions=True
    )
    await other.close()
    assert sorted(type(result).__name__ for result in results) == ["ChainMisplaced", "ChainRecord"]
    assert len(await chains.public("main")) == 1


async def test_a_chain_that_is_there_already_is_the_answer_to_a_repeat(chains: CrashChains) -> None:
    assert await add(chains, first_round=1) == await add(chains, first_round=1)
    assert len(await chains.public("main")) == 1


async def test_a_salt_is_fixed_once_and_for_ever(chains: CrashChains, dsn: str) -> None:
    with pytest.raises(SaltRefused, match="has no chain"):
        await chains.publish("main", SALT, "x")
    await add(chains)
    await chains.publish("main", SALT.upper(), "bitcoin block 1")
    with pytest.raises(SaltRefused, match="cannot be changed"):
        await chains.publish("main", "ab" * 32, "a better one")
    assert [chain.salt for chain in await chains.public("main")] == [SALT]
    for statement in (
        f"UPDATE crash_chains SET salt = '{'ab' * 32}'",
        "UPDATE crash_chains SET salt = NULL, salt_source = NULL, published_at = NULL",
        "UPDATE crash_chains SET length = 9",
        "DELETE FROM crash_chains",
    ):
        with pytest.raises(asyncpg.PostgresError, match="is fixed"):
            await execute(dsn, statement)


async def test_until_then_nothing_but_the_salt_can_change(chains: CrashChains, dsn: str) -> None:
    await add(chains)
    with pytest.raises(asyncpg.PostgresError, match="is fixed"):
        await execute(dsn, "UPDATE crash_chains SET first_round = 2")


@pytest.mark.parametrize("salt", ["", "ab" * 15, "ab" * 65, "a" * 33, "0x" + "ab" * 32, "zz" * 32])
async def test_a_salt_is_hex_of_some_length(chains: CrashChains, salt: str) -> None:
    await add(chains)
    with pytest.raises(SaltRefused, match="hexadecimal"):
        await chains.publish("main", salt, "x")


async def test_each_chain_has_a_salt_of_later(chains: CrashChains) -> None:
    await add(chains)
    await add(chains, generate(bytes(32), 9, 4), table="other")
    await chains.publish("main", SALT, "bitcoin block 1")
    # Announced together, for the same block.
    assert (await chains.publish("other", SALT, "bitcoin block 1")).salt == SALT
    await add(chains, MORE)
    with pytest.raises(SaltRefused, match="before this chain was made"):
        await chains.publish("main", SALT, "bitcoin block 1")
    assert (await chains.publish("main", "cd" * 32, "bitcoin block 2")).first_round == 251


def dump_of(dsn: str) -> str:
    return subprocess.run([programs() / "pg_dump", dsn], capture_output=True, check=True, text=True).stdout


async def test_a_dump_of_the_database_tells_no_crash_point(chains: CrashChains, dsn: str) -> None:
    await add(chains)
    await chains.publish("main", SALT, "bitcoin block 1")
    text = await asyncio.to_thread(dump_of, dsn)
    found = set(re.findall(r"[0-9a-f]{64}", text))
    chain = HashChain(PARTS)
    assert chain.hash_at(0).hex() in found
    assert len(found) > len(PARTS.checkpoints), "the dump has the checkpoints in it"
    assert not {chain.hash_at(index).hex() for index in range(1, 251)} & found
    assert KEY.hex() not in text


async def played(postgres: PostgresStorage, table: str, *rounds: int) -> None:
    """Turns as the table's actor leaves them: each phase of a round ends once, and there are bets."""
    incarnation = await postgres.membership.register("host", "unix:x", 60.0)
    actor = ActorId(f"crash/{table}")
    turns: list[TurnRecord] = []
    for number in rounds:
        ids = [f"\x01alarm/{number}/{phase}" for phase in ("betting", "running", "crashed", "pause")]
        for command_id in (*ids, f"bet-{number + 1}", f"\x01alarm/{number + 1}/betting"):
            turns.append(turn(actor, len(turns) + 1, command_id=command_id))
    await postgres.journal().commit(batch(incarnation, *turns))


async def test_rounds_are_counted_from_the_journal(postgres: PostgresStorage) -> None:
    store = CrashChains(postgres.dsn)
    await add(store)
    await add(store, MORE)
    assert (await chains_of(store, "main")).rounds_left == 0
    await store.publish("main", SALT, "x")
    assert await store.rounds_played("main") == 0
    await played(postgres, "main", 8, 10)
    found = await chains_of(store, "main")
    assert (found.rounds_played, found.rounds_left) == (10, 240)
    assert found.waiting == found.chains[1]
    await store.close()


class Start:
    """What the launcher does, with what it says."""

    def __init__(self, dsn: str, path: Path) -> None:
        self.dsn = dsn
        self.instance = Instance(path)
        self.instance.prepare()
        self.reports: list[str] = []
        self.notices: list[str] = []

    async def __call__(self, **settings: Any) -> None:
        self.reports.clear()
        self.notices.clear()
        await prepare_tables(
            Settings(data=self.instance.data, **settings),
            self.instance,
            self.dsn,
            self.reports.append,
            self.notices.append,
        )

    @property
    def key(self) -> bytes:
        return bytes.fromhex(self.instance.secret("crash-key"))


@pytest.fixture
def start(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    monkeypatch.setattr(deployment.generate_chain, "__defaults__", (20_000, None))
    return Start(dsn, tmp_path / "casino")


async def test_the_first_start_makes_a_chain_for_each_table(start: Start, chains: CrashChains) -> None:
    tables = [CrashTable(name="main"), CrashTable(name="high")]
    await start(crash_tables=tables)
    assert start.reports == [f"generating the hash chain of Crash table {n} (once)" for n in ("main", "high")]
    assert len(start.notices) == 2
    assert "nobody could choose" in start.notices[0]
    [(main, chain)] = await open_chains(chains, "main", start.key)
    [(high, _)] = await open_chains(chains, "high", start.key)
    assert (main.first_round, main.length, main.salt_source) == (1, 20_000, OWN_SALT_SOURCE)
    assert main.salt != high.salt
    assert is_link(chain.hash_at(999), chain.hash_at(1000))
    await start(crash_tables=tables)
    assert (start.reports, start.notices) == ([], [])
    assert len(await chains.public()) == 2


async def test_without_tables_there_is_nothing_to_do(start: Start, chains: CrashChains) -> None:
    await start(crash_tables=[])
    assert await chains.public() == []
    assert not (start.instance.data / "secrets" / "crash-key").exists()


async def test_a_start_that_requires_a_chain_says_what_to_type(start: Start, chains: CrashChains) -> None:
    with pytest.raises(ChainError, match="casino crash-chain generate --table main"):
        await start(crash_chain="required")
    assert await chains.public() == []
    await generate_chain(chains, "main", start.key, 20_000)
    for setting in ("required", "auto"):
        with pytest.raises(ChainError, match="no salt yet: 'casino crash-chain publish --table main'"):
            await start(crash_chain=setting)
    await chains.publish("main", SALT, "bitcoin block 1")
    await start(crash_chain="required")
    assert start.notices == []


async def test_a_start_with_another_key_is_refused(start: Start) -> None:
    await start()
    with pytest.raises(ChainUnreadable):
        await start(crash_key=SecretStr("ab" * 32))
    with pytest.raises(ChainError, match="CASINO_CRASH_KEY is no key"):
        await start(crash_key=SecretStr("ab" * 31))


async def test_the_operator_is_warned_before_rounds_run_out(
    start: Start, chains: CrashChains, postgres: PostgresStorage
) -> None:
    await start()
    await played(postgres, "main", 10_000)
    await start()
    assert start.notices == []
    await execute(postgres.dsn, "UPDATE journal SET command_id = replace(command_id, '10000/r', '10001/r')")
    await start()
    assert start.notices == [
        "Crash table main has only 9,999 rounds left; make the next chain: "
        "'casino crash-chain generate --table main'"
    ]
    await generate_chain(chains, "main", start.key, 5)
    await start()
    assert "publish the salt of the next chain" in start.notices[0]


def test_an_operator_makes_announces_and_publishes(dsn: str, tmp_path: Path) -> None:
    runner = CliRunner(env={"CASINO_POSTGRES_DSN": dsn, "CASINO_DATA": str(tmp_path / "casino")})

    def casino(*arguments: str, status: int = 0) -> str:
        result = runner.invoke(crash_chain, arguments)
        assert result.exit_code == status, result.output
        return re.sub(r"\s+", " ", result.output)

    assert "0 rounds played, 0 left" in casino("status", status=1)
    assert "has no chain" in casino("publish", status=1)
    assert "no Crash table 'nowhere'" in casino("generate", "--table", "nowhere", status=1)
    terminating_hash = casino("generate", "--length", "20000").split()[0]
    assert re.fullmatch("[0-9a-f]{64}", terminating_hash)
    assert (tmp_path / "casino/secrets/crash-key").stat().st_mode & 0o777 == 0o600
    assert "waits for its salt" in casino("generate", status=1)
    announced = casino("publish")
    assert terminating_hash in announced
    assert "rounds 1 to 20,000" in announced
    assert "hexadecimal" in casino("publish", "--salt", "nonsense", status=1)
    casino("publish", "--salt", SALT, "--source", "bitcoin block [1]")
    assert "cannot be changed" in casino("publish", "--salt", "ab" * 32, status=1)
    assert "20,000 rounds left and needs no other chain yet" in casino("generate", status=1)
    said = casino("status")
    assert all(each in said for each in (terminating_hash, SALT, "bitcoin block [1]", "20,000 left"))
    casino("generate", "--force-next", "--length", "10")
    assert '"first_round": 20001' in casino("status", "--json")


def test_a_database_of_an_older_version_is_recognised(dsn: str, tmp_path: Path) -> None:
    asyncio.run(execute(dsn, "DROP TABLE crash_chains CASCADE"))
    runner = CliRunner(env={"CASINO_POSTGRES_DSN": dsn, "CASINO_DATA": str(tmp_path)})
    result = runner.invoke(crash_chain, ["status"])
    assert result.exit_code == 1
    assert "casino migrate" in result.output


async def test_an_unreachable_database_is_said_to_be_so() -> None:
    store = CrashChains("postgresql://nobody@/nowhere?host=/nonexistent", timeout_s=0.2)
    with pytest.raises(DatabaseUnavailable):
        await store.public()
    await store.close()
