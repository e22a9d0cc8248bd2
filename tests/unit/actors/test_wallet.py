import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import wallet
from actors.wallet import GOLD_MAX, earn, earn_what_fits, hold, pay, release
from runtime.behavior import Transfer
from runtime.errors import Rejected

gold = st.integers(0, GOLD_MAX)
amounts = st.integers(1, GOLD_MAX)


def test_account_names() -> None:
    assert wallet.player_account("ann") == "player:ann"
    assert wallet.house_account("slots") == "house:slots"
    assert wallet.gift_escrow("ann", 7) == "escrow:gift:ann:7"
    assert wallet.gift_number("escrow:gift:ann:7", "ann") == 7
    assert wallet.crash_escrow("main", 7) == "escrow:crash:main:7"
    assert (wallet.FAUCET_STREAK, wallet.FAUCET_WELCOME) == ("faucet:streak", "faucet:welcome")


@given(gold, amounts)
def test_pay_moves_exactly_the_amount_or_nothing(balance: int, amount: int) -> None:
    if amount > balance:
        with pytest.raises(Rejected) as caught:
            pay(balance, "ann", "house:slots", amount, "stake")
        assert caught.value.code == "insufficient_funds"
        assert not caught.value.retryable
    else:
        transfer, after = pay(balance, "ann", "house:slots", amount, "stake")
        assert transfer == Transfer("player:ann", "house:slots", amount, "stake")
        assert after == balance - amount >= 0


@given(gold, amounts)
def test_earn_never_overfills_the_purse(balance: int, amount: int) -> None:
    if balance + amount > GOLD_MAX:
        with pytest.raises(Rejected) as caught:
            earn(balance, "ann", "house:slots", amount, "payout")
        assert caught.value.code == "gold_limit"
    else:
        transfer, after = earn(balance, "ann", "house:slots", amount, "payout")
        assert transfer == Transfer("house:slots", "player:ann", amount, "payout")
        assert after == balance + amount


@given(gold, amounts)
def test_what_does_not_fit_goes_to_the_house_and_the_escrow_is_emptied(balance: int, amount: int) -> None:
    transfers, after = earn_what_fits(balance, "ann", "escrow:gift:ben:1", amount, "gift")
    assert sum(transfer.amount for transfer in transfers) == amount
    assert all(transfer.debit == "escrow:gift:ben:1" and transfer.amount > 0 for transfer in transfers)
    kept = sum(transfer.amount for transfer in transfers if transfer.credit == "player:ann")
    assert after == balance + kept == min(balance + amount, GOLD_MAX)


@given(gold, amounts)
def test_gold_on_hold_stays_where_it_is(balance: int, amount: int) -> None:
    if amount > balance:
        with pytest.raises(Rejected) as caught:
            hold(balance, amount)
        assert caught.value.code == "insufficient_funds"
    else:
        after = hold(balance, amount)
        assert release(after, "ann", amount, "refused") == ([], balance)


@given(gold, amounts)
def test_what_no_longer_fits_when_it_is_released_goes_to_the_house(balance: int, amount: int) -> None:
    transfers, after = release(balance, "ann", amount, "refused")
    lost = sum(transfer.amount for transfer in transfers)
    assert all(transfer[:2] == ("player:ann", "house:overflow") for transfer in transfers)
    assert all(transfer.amount > 0 for transfer in transfers)
    assert after == balance + amount - lost == min(balance + amount, GOLD_MAX)
