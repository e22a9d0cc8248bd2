import asyncio

from benchmarks.load.commits import Bucket, between, parse, read

TEMPLATE = """\
# TYPE ray_casino_host_commit_turns_bucket gauge
ray_casino_host_commit_turns_bucket{{process="session-host-0",le="1.0"}} {ones}
ray_casino_host_commit_turns_bucket{{process="session-host-0",le="2.0"}} {twos}
ray_casino_host_commit_turns_bucket{{process="session-host-0",le="+Inf"}} {all}
# TYPE ray_casino_host_commit_turns_sum gauge
ray_casino_host_commit_turns_sum{{process="session-host-0"}} {turns}
# TYPE ray_casino_host_commit_turns_count gauge
ray_casino_host_commit_turns_count{{process="session-host-0"}} {all}
# TYPE ray_casino_host_commit_seconds_bucket gauge
ray_casino_host_commit_seconds_bucket{{process="session-host-0",le="0.002"}} {ones}
ray_casino_host_commit_seconds_bucket{{process="session-host-0",le="+Inf"}} {all}
# TYPE ray_casino_host_commit_seconds_sum gauge
ray_casino_host_commit_seconds_sum{{process="session-host-0"}} {seconds}
# TYPE ray_casino_host_commit_seconds_count gauge
ray_casino_host_commit_seconds_count{{process="session-host-0"}} {all}
# TYPE other gauge
other 7
"""


def told(ones: int, twos: int, commits: int, turns: int, seconds: float) -> str:
    return TEMPLATE.format(ones=ones, twos=twos, all=commits, turns=turns, seconds=seconds)


def test_the_difference_of_two_readings() -> None:
    before = parse("http://a", told(10, 15, 20, 50, 0.5))
    after = parse("http://a", told(14, 25, 40, 110, 0.6))
    found = between(before, after)
    assert found is not None
    assert (found.commits, found.turns_mean) == (20, 3.0)
    assert found.turns == [Bucket(1.0, 4), Bucket(2.0, 6), Bucket(None, 10)]
    assert [(bucket.to, bucket.count) for bucket in found.ms] == [(2.0, 4), (None, 16)]
    assert round(found.ms_mean, 6) == 5.0


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    found = between(parse("a", told(10, 15, 20, 50, 0.5)), parse("a", told(3, 4, 5, 6, 0.1)))
    assert found is not None
    assert found.commits == 5


def test_several_hosts_are_summed_and_none_is_nothing() -> None:
    one, other = parse("http://a", told(1, 2, 3, 4, 0.1)), parse("http://b", told(1, 2, 3, 4, 0.1))
    found = between({}, one | other)
    assert found is not None
    assert found.commits == 6
    assert between(one, one) is None
    assert between({}, {}) is None


async def test_who_does_not_answer_is_left_out() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = told(1, 2, 3, 4, 0.1).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await read(["http://127.0.0.1:9/metrics", f"http://127.0.0.1:{port}/metrics"])
    assert {key[0] for key in found} == {f"http://127.0.0.1:{port}/metrics"}
    assert len(found) == 9
