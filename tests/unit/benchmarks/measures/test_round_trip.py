import pytest

from benchmarks.baselines import echo
from benchmarks.measures import round_trip as module
from benchmarks.measures.round_trip import RoundTrip, round_trip


async def test_all_four_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a server that starts sooner in the casino's place."""
    monkeypatch.setattr(module, "own_casino", echo.started)
    said: list[str] = []
    found = await round_trip(said.append, measured_s=1.0, warm_up_s=0.2)
    assert len(said) == 4
    assert min(found.casino_p50_ms, found.echo_p50_ms, found.hop_p50_ms, found.commit_p50_ms) > 0


def test_the_parts_are_added() -> None:
    assert RoundTrip(1.0, 0.1, 0.2, 0.4).parts_p50_ms == pytest.approx(0.7)
