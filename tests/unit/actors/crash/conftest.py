"""The floor that most tests of betting begin on: one table with an open round, two players."""

import pytest

from tests.unit.actors.crash.floor import Floor, Table


@pytest.fixture
def floor(new_player) -> Floor:
    floor = Floor(new_player, Table(300, 300, 300), "ann", "ben")
    floor.fire()
    return floor
