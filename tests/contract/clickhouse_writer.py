"""Publishes one turn after the other into a directory, and says so after each, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from persistence.clickhouse.client import ClickHouse
from persistence.clickhouse.store import ClickHouseStore, StoreSettings
from runtime.clock import SystemClock
from tests.contract.clickhouse_engines import spin, turn


async def write(path: Path) -> None:
    store = ClickHouseStore(ClickHouse(path), SystemClock(), StoreSettings(insert_interval_s=0))
    seq = 0
    while True:
        turns = [turn("session/ann", seq + number, spin(0), spin(30)) for number in range(1, 21)]
        await store.publish(turns)
        seq += len(turns)
        print(seq, flush=True)


asyncio.run(write(Path(sys.argv[1])))
