from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.arena import Arena, running


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One casino for all tests that leave it whole."""
    with running(tmp_path_factory.mktemp("arena") / "casino") as arena:
        yield arena


@pytest.fixture(scope="session")
def casino_url(arena: Arena) -> str:
    return arena.url


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "casino"
