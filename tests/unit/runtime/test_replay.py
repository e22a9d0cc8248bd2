from runtime.replay import Replay
from tests.unit.runtime.purse import Purse
from tests.unit.runtime.world import World


async def _played(**settings: int) -> World:
    world = World(Purse(), **settings)
    async with world:
        for number in range(7):
            await world.ask("ann", f"c{number}", "add", amount=number + 1)
    return world


async def test_a_whole_journal_rebuilds_the_state_and_agrees_with_its_snapshot() -> None:
    world = await _played(snapshot_interval_turns=5)
    [recovered] = await world.memory.load(["purse/ann"])
    assert recovered.snapshot is not None
    replay = Replay(Purse(), "ann", recovered.snapshot)
    replay.feed(await world.turns("ann"))
    assert replay.problems == []
    assert replay.snapshot_checked
    assert (replay.seq, replay.state.gold) == (7, 28)


async def test_a_missing_turn_is_noticed() -> None:
    world = await _played()
    turns = await world.turns("ann")
    replay = Replay(Purse(), "ann")
    replay.feed(turns[:2] + turns[3:])
    assert any("turn 3 is missing" in problem for problem in replay.problems)


async def test_a_snapshot_that_differs_is_noticed() -> None:
    world = await _played(snapshot_interval_turns=5)
    [recovered] = await world.memory.load(["purse/ann"])
    snapshot = recovered.snapshot
    assert snapshot is not None
    snapshot.state = snapshot.state.replace(bytes([15]), bytes([16]))
    replay = Replay(Purse(), "ann", snapshot)
    replay.feed(await world.turns("ann"))
    assert any("snapshot after turn 5 differs" in problem for problem in replay.problems)
