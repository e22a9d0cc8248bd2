import msgspec
import pytest

from actors.catalogue import behaviors
from actors.crash.round import TableRules


def test_every_kind_is_found_by_its_name() -> None:
    known = [(kind, behavior.kind) for kind, behavior in behaviors().items()]
    assert known == [("session", "session"), ("crash", "crash")]


def test_the_tables_of_crash_are_the_callers_choice() -> None:
    assert list(behaviors()["crash"].tables) == ["main"]
    assert list(behaviors({"vip": TableRules(), "low": TableRules()})["crash"].tables) == ["vip", "low"]
    with pytest.raises(ValueError, match="not the name"):
        behaviors({"a/b": TableRules()})


def test_instances_are_new_so_that_a_placement_can_be_set() -> None:
    assert behaviors()["session"] is not behaviors()["session"]


@pytest.mark.parametrize("kind", sorted(behaviors()))
def test_every_command_and_push_is_documented_and_has_a_schema(kind: str) -> None:
    behavior = behaviors()[kind]
    specs = [*behavior.commands.values(), *behavior.pushes.values()]
    assert all(spec.summary.endswith(".") for spec in specs)
    types = [spec.data for spec in specs] + [spec.result for spec in behavior.commands.values()]
    schemas, _ = msgspec.json.schema_components(types)
    assert len(schemas) == len(types)


@pytest.mark.parametrize("kind", sorted(behaviors()))
def test_command_data_refuses_unknown_fields(kind: str) -> None:
    for spec in behaviors()[kind].commands.values():
        assert spec.data.__struct_config__.forbid_unknown_fields, spec.name


def test_every_command_that_can_move_gold_says_the_balance() -> None:
    silent = {
        spec.name
        for spec in behaviors()["session"].commands.values()
        if "gold_balance" not in spec.result.__struct_fields__
    }
    reads = {"get_crash_bets", "get_recent_actions"}
    seeds = {"set_client_seed", "rotate_server_seed"}
    assert silent == {"set_time_zone", "log_action", "log_actions", "set_role"} | seeds | reads
