from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka.fixtures import kafka_bootstrap, kafka_broker  # noqa: F401 - fixtures of every folder
from tests.system.arena import Arena, running


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One casino for all tests that leave it whole."""
    environment = {
        # Everybody here comes from one address.
        "CASINO_PASSWORDS_PER_MINUTE_OF_ADDRESS": "100000",
        "CASINO_REFRESH_KEY": "5e" * 32,
    }
    with running(tmp_path_factory.mktemp("arena") / "casino", **environment) as arena:
        yield arena


@pytest.fixture(scope="session")
def casino_url(arena: Arena) -> str:
    return arena.url


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "casino"
