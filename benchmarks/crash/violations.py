"""What a bot holds against the house: counted by kind, with a few examples in words."""

from __future__ import annotations

from collections import Counter

_EXAMPLES_MAX = 20


class Violations:
    """Shared by all the bots of a process."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.examples: list[str] = []

    def note(self, kind: str, example: str) -> None:
        self.kinds[kind] += 1
        if len(self.examples) < _EXAMPLES_MAX:
            self.examples.append(f"{kind}: {example}")
