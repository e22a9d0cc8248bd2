import pytest

from benchmarks.load.thresholds import judge, parse_threshold

FIGURES = {"rate": 1_000.0, "error_rate": 0.002, "lost": 0.0}
PERCENTILES = {None: lambda percent: percent / 2, "write": lambda percent: percent * 10}
MEANS = {None: 20.0, "write": 300.0}


@pytest.mark.parametrize(
    ("text", "value", "ok"),
    [
        ("p(99)<50", 49.5, True),
        ("p(99)<49.5", 49.5, False),
        ("p(99.9) <= 49.95", 49.95, True),
        ("write:p(50)>=500", 500.0, True),
        ("write:p(95)<40", 950.0, False),
        ("avg<21", 20.0, True),
        ("write:avg<21", 300.0, False),
        ("med<25.1", 25.0, True),
        ("min==0", 0.0, True),
        ("max!=50", 50.0, False),
        ("rate>1000", 1_000.0, False),
        ("rate>=1000", 1_000.0, True),
        ("error_rate<0.001", 0.002, False),
        ("lost==0", 0.0, True),
        ("storms>0", None, False),
        ("read:p(50)<1", None, False),
    ],
)
def test_thresholds(text: str, value: float | None, ok: bool) -> None:
    verdict = judge(parse_threshold(text), FIGURES, PERCENTILES, MEANS)
    assert (verdict.threshold, verdict.value, verdict.ok) == (text, value, ok)


@pytest.mark.parametrize(
    "text",
    ["", "p(99)", "p(101)<5", "p(99)<fifty", "p(99)=50", "p(99)<50ms", "<50", "rate>1000/s", "p()<1"],
)
def test_no_thresholds(text: str) -> None:
    with pytest.raises(ValueError, match="not a threshold"):
        parse_threshold(text)


def test_only_latencies_are_of_a_kind() -> None:
    with pytest.raises(ValueError, match="leave out 'write:'"):
        parse_threshold("write:error_rate<1")
