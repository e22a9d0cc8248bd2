from benchmarks.baselines.catalogue import BASELINES


def test_they_are_known_by_their_names() -> None:
    assert list(BASELINES) == ["rowlock", "dedicated", "echo", "ceiling"]
    assert all(name == baseline.name and baseline.summary for name, baseline in BASELINES.items())
