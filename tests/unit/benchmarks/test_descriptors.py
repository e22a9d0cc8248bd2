import resource

import pytest

from benchmarks.descriptors import TooFewDescriptors, allow_sockets


class Limits:
    """The system's, as this process may set them."""

    def __init__(self, soft: int, hard: int, may_raise_hard: bool) -> None:
        self.now = (soft, hard)
        self._may_raise_hard = may_raise_hard

    def get(self, which: int) -> tuple[int, int]:
        return self.now

    def set(self, which: int, wanted: tuple[int, int]) -> None:
        if wanted[1] > self.now[1] and not self._may_raise_hard:
            raise ValueError("not allowed to raise maximum limit")
        self.now = wanted


@pytest.fixture
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Limits:
    limits = Limits(*request.param)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    return limits


@pytest.mark.parametrize("limits", [(1024, 4096, False)], indirect=True)
def test_the_soft_limit_is_raised_as_far_as_needed(limits: Limits) -> None:
    allow_sockets(100)
    assert limits.now == (1024, 4096)
    allow_sockets(3000)
    assert limits.now == (3256, 4096)


@pytest.mark.parametrize("limits", [(1024, 4096, False)], indirect=True)
def test_beyond_the_hard_limit_it_says_what_to_do(limits: Limits) -> None:
    with pytest.raises(TooFewDescriptors, match=r"hard limit is 4096.*ulimit -Hn 5256"):
        allow_sockets(5000)


@pytest.mark.parametrize("limits", [(1024, 4096, True)], indirect=True)
def test_whoever_may_raises_the_hard_limit(limits: Limits) -> None:
    allow_sockets(5000)
    assert limits.now == (5256, 5256)


@pytest.mark.parametrize("limits", [(resource.RLIM_INFINITY, resource.RLIM_INFINITY, False)], indirect=True)
def test_no_limit_at_all(limits: Limits) -> None:
    allow_sockets(10**6)
    assert limits.now == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
