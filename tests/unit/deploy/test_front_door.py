from pathlib import Path

import pytest

from deploy.front_door import SigningKeys
from deploy.key_ring import KeyFile, KeyFileError
from runtime.clock import SystemClock

CLOCK = SystemClock()


async def test_keys_that_were_given_need_no_file(tmp_path: Path) -> None:
    keys = SigningKeys({"b": "bb" * 32, "a": "aa" * 32}, KeyFile(tmp_path / "none"), CLOCK)
    keys.start()
    assert keys.ring.active == ("b", b"\xbb" * 32)
    await keys.stop()


async def test_otherwise_the_file_counts(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    with pytest.raises(KeyFileError):
        SigningKeys({}, file, CLOCK)
    file.prepare(CLOCK.now_ms())
    keys = SigningKeys({}, file, CLOCK)
    keys.start()
    assert keys.ring.active[0] == file.read()[0].kid
    await keys.stop()
