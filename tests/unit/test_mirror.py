"""Unit tests mirror the code: a reader who knows one place knows the other."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

ABOUT_MORE_THAN_ONE_MODULE = {"runtime/test_resident_memory.py", "test_mirror.py"}


def test_every_unit_test_is_named_after_the_module_it_tests() -> None:
    astray = []
    for test in HERE.rglob("test_*.py"):
        relative = test.relative_to(HERE)
        module = ROOT / relative.parent / relative.name.removeprefix("test_")
        if str(relative) not in ABOUT_MORE_THAN_ONE_MODULE and not module.exists():
            astray.append(str(relative))
    assert astray == []
