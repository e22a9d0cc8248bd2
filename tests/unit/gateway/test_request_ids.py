"""What a request is called, and what its command is."""

from __future__ import annotations

import pytest

from gateway.request_ids import begin_request, command_id_of_request, request_id


def test_a_request_without_a_name_gets_one_and_its_command_has_the_same() -> None:
    name = begin_request([(b"accept", b"*/*")])
    assert name.startswith("http-")
    assert request_id.get() == name == command_id_of_request()


def test_a_client_may_name_its_request_but_not_the_command() -> None:
    assert begin_request([(b"x-request-id", b"mine-1")]) == "mine-1"
    assert command_id_of_request() not in ("mine-1", command_id_of_request())


@pytest.mark.parametrize("hostile", [b"", b"a" * 65, b"two words", b'"}\n', b"\xff", b"a\x00b"])
def test_a_name_that_could_spoil_a_log_is_not_taken(hostile: bytes) -> None:
    assert begin_request([(b"x-request-id", hostile)]).startswith("http-")
