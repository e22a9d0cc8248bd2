from http import HTTPStatus

import pytest

from gateway.problems import Problem
from gateway.refusals import refusals_as_problems
from runtime.errors import Rejected, Unavailable


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("refresh_reused", 401),
        ("account_unknown", 401),
        ("banned", 403),
        ("invite_invalid", 403),
        ("invalid_data", 422),
        ("username_taken", 409),
        ("password_changed", 409),
    ],
)
def test_refusals(code: str, status: int) -> None:
    with pytest.raises(Problem) as caught, refusals_as_problems():
        raise Rejected("why", code)
    problem = caught.value
    assert (problem.status, problem.code, problem.detail) == (HTTPStatus(status), code, "why")
    assert problem.headers == ({"WWW-Authenticate": "Bearer"} if status == 401 else None)


def test_everything_else_passes() -> None:
    with pytest.raises(Unavailable), refusals_as_problems():
        raise Unavailable("away")
    with refusals_as_problems():
        pass
