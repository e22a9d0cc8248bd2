"""The table of a connection's life has no way out of the end, and a way to it from everywhere."""

from gateway.connection_lifecycle import TRANSITIONS, Happening, State


def test_the_table_covers_what_can_happen() -> None:
    assert State.CLOSING not in {state for state, _ in TRANSITIONS}
    for state in set(State) - {State.CLOSING}:
        assert TRANSITIONS[state, Happening.CLOSED] is State.CLOSING
