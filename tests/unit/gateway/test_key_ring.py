"""The ring of signing keys: checked whenever it is filled, and never shown."""

from __future__ import annotations

import pytest

from gateway.key_ring import KeyRing
from tests.unit.gateway.fakes import KEYS


def test_keys() -> None:
    ring = KeyRing(KEYS, "k2")
    assert ring.active == ("k2", KEYS["k2"])
    assert ring.key("k1") == KEYS["k1"]
    assert ring.key("k9") is None
    ring.replace({"k1": KEYS["k1"]}, "k1")
    assert ring.active[0] == "k1"
    assert ring.key("k2") is None


def test_a_ring_that_makes_no_sense_is_refused_and_the_old_one_kept() -> None:
    with pytest.raises(ValueError, match="active"):
        KeyRing(KEYS, "k9")
    ring = KeyRing(KEYS, "k1")
    with pytest.raises(ValueError, match="32"):
        ring.replace({"k1": b"short"}, "k1")
    with pytest.raises(ValueError, match="active"):
        ring.replace({}, "k1")
    assert ring.active == ("k1", KEYS["k1"])


def test_no_key_is_shown() -> None:
    assert "1111" not in repr(KeyRing(KEYS, "k1"))
