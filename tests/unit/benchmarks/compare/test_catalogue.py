import pytest

from benchmarks.compare.catalogue import SPECS, chosen, servers, summaries
from benchmarks.compare.row import FULL, QUICK


def test_the_order_is_the_catalogues() -> None:
    assert [spec.name for spec in chosen([])] == list(SPECS)
    assert [spec.name for spec in chosen(["growth", "ceiling", "growth"])] == ["ceiling", "growth"]


def test_an_unknown_row_is_told_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"no row 'spins'; there are spin-500, spin-32, ceiling, .*growth"):
        chosen(["spin-32", "spins"])


def test_every_server_of_a_row_can_be_started_and_is_explained() -> None:
    for spec in SPECS.values():
        names = {*spec.servers, *spec.compared}
        assert set(summaries(names)) == names
    assert servers() is not None


def test_the_targets_are_those_of_the_project() -> None:
    aims = [
        (spec.name, aim.compare, round(aim.bound, 3), aim.unit)
        for spec in SPECS.values()
        for aim in spec.aims
    ]
    assert aims == [
        ("spin-500", "≥", 6.0, "×"),
        ("spin-500", "≤", 0.167, "×"),
        ("spin-32", "≥", 3.0, "×"),
        ("spin-32", "≤", 0.333, "×"),
        ("ceiling", "≥", 0.7, "×"),
        ("broadcast", "≥", 0.6, "×"),
        ("memory", "≤", 4.0, "KiB"),
        ("memory", "≤", 25.0, "KiB"),
        ("dedicated", "≥", 1_000.0, "×"),
        ("round-trip", "≤", 1.5, "×"),
        ("recovery", "≤", 5.0, "s"),
        ("recovery", "≤", 2.0, "s"),
        ("growth", "≤", 1.2, "×"),
    ]


def test_the_whole_is_expected_to_take_less_than_a_quarter_of_an_hour() -> None:
    assert sum(spec.seconds(FULL) for spec in chosen([])) < 15 * 60
    assert sum(spec.seconds(QUICK) for spec in chosen([])) < 15 * 60


def test_what_a_row_shares_with_another_is_counted_once() -> None:
    alone, together = chosen(["dedicated"])[0], chosen(["dedicated", "memory"])
    assert [spec.name for spec in together] == ["memory", "dedicated"]
    assert alone.seconds(FULL) == sum(spec.seconds(FULL) for spec in together)
