import msgspec
import pytest

from benchmarks.baselines.frames import decode_frame, encode, error, result, token_of
from clients.protocol import Authenticated, Failure, Protocol, Result


def test_a_client_is_understood_and_understands() -> None:
    client = Protocol()
    hello = decode_frame(client.authenticate("secret"))
    assert (hello.type, token_of(hello)) == ("authenticate", "secret")
    assert client.receive(result(hello.id, encode({"user_id": "u_1"}))) == Authenticated()
    spin = decode_frame(client.command("spin_slots", {"stake": 3}, "1"))
    assert (spin.type, spin.id, msgspec.msgpack.decode(spin.data)) == ("spin_slots", "1", {"stake": 3})
    assert client.receive(result("1", encode({"payout": 0}))) == Result("1", {"payout": 0})
    client.command("spin_slots", {"stake": 3}, "2")
    assert client.receive(error("2", "code", "why", True)) == Failure("2", "code", "why", True)


def test_a_frame_without_a_token() -> None:
    with pytest.raises(msgspec.DecodeError):
        token_of(decode_frame(encode({"type": "authenticate", "id": "1", "data": {}})))
