from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.baselines.stream_hop import far_end, frame


def test_a_frame_tells_its_length() -> None:
    assert frame(300) == b"\x00\x00\x01\x2c" + bytes(300)


async def test_there_and_back() -> None:
    with TemporaryDirectory() as folder:
        async with far_end(Path(folder)) as hop:
            assert all([await hop.there_and_back() > 0 for _ in range(100)])
