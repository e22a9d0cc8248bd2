"""The protocol's tables are complete and say what the runtime's errors say."""

from __future__ import annotations

import re

from gateway import schema
from gateway.schema import CLOSES, ERRORS
from gateway.tokens import TokenExpired, TokenInvalid
from runtime import errors


def test_errors_of_the_runtime_and_of_tokens_are_documented() -> None:
    kinds = (errors.Rejected, errors.IdReused, errors.Overloaded, errors.Unavailable, errors.InternalError)
    for kind in kinds:
        assert ERRORS[kind.code].retryable is kind.retryable
    assert {TokenInvalid.code, TokenExpired.code} <= set(ERRORS)


def test_codes_are_identifiers_with_a_meaning() -> None:
    for code, error in ERRORS.items():
        assert re.fullmatch(r"[a-z][a-z_]*", code)
        assert error.meaning.endswith(".")


def test_close_codes_may_be_sent_and_are_documented() -> None:
    used = {value for name, value in vars(schema).items() if name.startswith("CLOSE_")}
    assert used <= set(CLOSES)
    for code in CLOSES:
        assert 1000 <= code <= 1003 or 1007 <= code <= 1013 or 4000 <= code <= 4999
