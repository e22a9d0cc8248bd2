import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.crash_chains import TableChains, crash_key
from deploy.instance import Instance
from deploy.settings import Settings
from persistence.postgres.crash_chains import ChainError, ChainRecord

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    (tmp_path / "secrets").mkdir()
    return Instance(tmp_path)


def test_the_key_is_made_once_for_its_owner_only(instance: Instance) -> None:
    key = crash_key(Settings(), instance)
    assert len(key) == 32
    assert crash_key(Settings(), instance) == key
    assert (instance.data / "secrets/crash-key").stat().st_mode & 0o777 == 0o600


def test_a_configured_key_is_used_and_not_kept(instance: Instance) -> None:
    assert crash_key(Settings(crash_key=SecretStr("ab" * 32)), instance) == b"\xab" * 32
    assert not (instance.data / "secrets/crash-key").exists()


@pytest.mark.parametrize("text", ["ab", "ab" * 33, "zz" * 32, "hunter2"])
def test_what_is_no_key_is_refused_and_not_shown(instance: Instance, text: str) -> None:
    with pytest.raises(ChainError, match="CASINO_CRASH_KEY is no key") as caught:
        crash_key(Settings(crash_key=SecretStr(text)), instance)
    assert text not in str(caught.value)
    (instance.data / "secrets/crash-key").write_text(text)
    with pytest.raises(ChainError, match="secrets/crash-key is no key"):
        crash_key(Settings(), instance)


def chain(number: int, first_round: int, length: int, salt: str | None) -> ChainRecord:
    published = NOW if salt else None
    return ChainRecord(number, "main", first_round, length, 10, bytes(32), salt, salt, NOW, published)


@pytest.mark.parametrize(("begun", "left"), [(0, 150), (1, 149), (100, 50), (149, 1), (150, 0), (151, 0)])
def test_rounds_left_are_those_of_chains_with_a_salt(begun: int, left: int) -> None:
    chains = [chain(1, 1, 100, "aa"), chain(2, 101, 50, "bb"), chain(3, 151, 1000, None)]
    found = TableChains("main", chains, begun)
    assert found.rounds_left == left
    assert found.waiting == chains[2]


def test_without_a_chain_no_round_is_left() -> None:
    assert TableChains("main", [], 0).rounds_left == 0
    assert TableChains("main", [], 0).waiting is None
    assert TableChains("main", [chain(1, 1, 100, "aa")], 0).waiting is None
