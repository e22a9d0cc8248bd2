"""A Kafka for tests: our own, or any other that ``CASINO_KAFKA_BOOTSTRAP`` names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka.broker import KafkaBroker
from tests.kafka.install import Missing, check_installed, in_ci


def need_kafka() -> None:
    """Skips the test where no Kafka is installed, and fails it in CI."""
    try:
        check_installed()
    except Missing as missing:
        if in_ci():
            pytest.fail(f"no Kafka: {missing}")
        pytest.skip(f"no Kafka: {missing}")


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[KafkaBroker]:
    """Our own. A test may kill it, and starts it again."""
    need_kafka()
    data = Path(tempfile.mkdtemp(prefix="casino-kafka-"))
    broker = KafkaBroker(data)
    broker.start()
    yield broker
    broker.stop()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """Of a Kafka that stays up."""
    elsewhere = os.environ.get("CASINO_KAFKA_BOOTSTRAP")
    if elsewhere:
        return elsewhere
    broker: KafkaBroker = request.getfixturevalue("kafka_broker")
    return broker.bootstrap
