import pytest

from persistence.kafka.producer import partition_of


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [  # From the tests of Kafka's own client in Java.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
@pytest.mark.parametrize("partitions", [1, 6, 7])
def test_a_key_goes_where_other_clients_put_it(key: bytes, murmur2: int, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2 & 0x7FFFFFFF) % partitions


def test_without_a_key_there_is_still_a_place() -> None:
    assert partition_of(None, 6) == 0
