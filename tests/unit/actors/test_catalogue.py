import msgspec
import pytest

from actors.catalogue import behaviors


def test_every_kind_is_found_by_its_name() -> None:
    assert [(kind, behavior.kind) for kind, behavior in behaviors().items()] == [("session", "session")]


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


@pytest.mark.parametrize("kind", sorted(behaviors()))
def test_every_command_that_can_move_gold_says_the_balance(kind: str) -> None:
    silent = {
        spec.name
        for spec in behaviors()[kind].commands.values()
        if "gold_balance" not in spec.result.__struct_fields__
    }
    assert silent == {"set_time_zone", "set_client_seed", "rotate_server_seed", "log_action"}
