from collections.abc import Sequence
from typing import cast

from persistence.kafka.dead_letters import DeadLetters
from persistence.kafka.producer import DurableProducer, Record
from persistence.kafka.topics import Topic

TOPIC = Topic("letters", partitions=1, retention_h=1, message_bytes_max=20_000)


class Sent:
    def __init__(self) -> None:
        self.records: list[tuple[str, Record]] = []

    async def send(self, topic: str, records: Sequence[Record]) -> None:
        self.records += [(topic, record) for record in records]


async def test_a_letter_carries_its_reason_and_where_it_came_from() -> None:
    sent = Sent()
    letters = DeadLetters(cast(DurableProducer, sent), TOPIC)
    await letters.add(b"key", b"value", "why \udc80", {"source_offset": 7})
    assert sent.records == [
        ("letters", Record(b"key", b"value", [("reason", b"why ?"), ("source_offset", b"7")]))
    ]


async def test_what_is_too_large_for_the_topic_is_cut_and_says_so() -> None:
    sent = Sent()
    letters = DeadLetters(cast(DurableProducer, sent), TOPIC)
    await letters.add(b"k" * 5000, b"v" * 30_000, "r" * 5000)
    [(_, letter)] = sent.records
    headers = dict(letter.headers)
    assert headers["cut_from_bytes"] == b"30000"
    size = len(letter.key or b"") + len(letter.value) + sum(len(value) for value in headers.values())
    assert 1000 < size < TOPIC.message_bytes_max
    assert set(letter.value) == {ord("v")}


async def test_what_fits_is_whole() -> None:
    sent = Sent()
    await DeadLetters(cast(DurableProducer, sent), TOPIC).add(None, b"v" * 3000, "why")
    [(_, letter)] = sent.records
    assert (letter.key, len(letter.value)) == (None, 3000)
    assert "cut_from_bytes" not in dict(letter.headers)
