import gc
import tracemalloc

import msgspec

from actors.session_state import GameRecord, SessionState, average_net

USER = "0197c3f0-7d0c-7000-8000-0123456789ab"


def test_average_net_is_zero_before_the_first_play() -> None:
    assert average_net(0, 0, 0) == 0.0
    assert average_net(3, 30, 10) == -6.67


def test_defaults_are_not_shared() -> None:
    first, second = SessionState("ann"), SessionState("ben")
    first.games["slots"] = GameRecord()
    assert second.games == {}


def test_only_the_dictionary_is_visited_by_the_garbage_collector() -> None:
    assert not gc.is_tracked(SessionState("ann"))
    assert not gc.is_tracked(GameRecord())


def test_a_busy_session_fits_its_memory_bound(new_player) -> None:
    """Restored from a snapshot, so that nothing is shared with the process's constants."""
    player = new_player(USER, now_ms=1_780_000_000_000)
    player.give("set_time_zone", time_zone="America/Argentina/Buenos_Aires")
    player.give("claim_streak")
    for _ in range(300):
        player.give("spin_slots", stake=10)
    snapshot = player.snapshot()
    decode = msgspec.msgpack.Decoder(SessionState).decode
    count = 500
    kept: list[SessionState | None] = [None] * count
    gc.collect()
    tracemalloc.start()
    try:
        for index in range(count):
            kept[index] = decode(snapshot)
        size_bytes = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert size_bytes < 1_850
    assert len(snapshot) < 1_150
