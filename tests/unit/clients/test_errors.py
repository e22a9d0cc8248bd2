import pickle

from clients.errors import AuthenticationFailed, ClientError, CommandFailed, CommandTimeout, UnfairRound


def test_they_read_well() -> None:
    assert (
        str(CommandFailed("i", "insufficient_funds", "You have 3.", False))
        == "insufficient_funds: You have 3."
    )
    unknown = str(CommandTimeout("i-7", "spin_slots", 2.0, True))
    assert "outcome is unknown" in unknown
    assert "'i-7'" in unknown
    assert str(UnfairRound("main", 3, "no link")) == "round 3 of table 'main': no link"
    assert "nothing happened" in str(CommandTimeout("i", "spin_slots", 2.0, False))


def test_a_timeout_is_a_timeout_and_all_survive_a_pickle() -> None:
    timeout = CommandTimeout("i", "spin_slots", 2.0, True)
    assert isinstance(timeout, TimeoutError)
    errors = (CommandFailed("i", "c", "m", True), AuthenticationFailed("c", "m"), UnfairRound("t", 3, "p"))
    for error in (timeout, *errors):
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, ClientError)
        assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))
