import pytest

from runtime.lifecycle import TRANSITIONS, IllegalTransition, Phase, check


def test_only_the_table_is_allowed() -> None:
    for before in Phase:
        for after in Phase:
            if (before, after) in TRANSITIONS:
                assert check(before, after) is after
            else:
                with pytest.raises(IllegalTransition):
                    check(before, after)


def test_gone_is_the_end_and_reachable_from_everywhere() -> None:
    assert not [after for before, after in TRANSITIONS if before is Phase.GONE]
    assert {before for before, after in TRANSITIONS if after is Phase.GONE} == set(Phase) - {Phase.GONE}
