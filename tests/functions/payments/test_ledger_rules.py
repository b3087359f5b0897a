"""The ledger's arithmetic: whatever is booked sums to zero, and where it ends does not depend on the way there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payments import ledger
from functions.payments.ledger import Account, House, Position, Postings, Returned
from functions.payments.packages import PACKAGES, fee_of

WALLET, OWED, EARNINGS = Account(100, 0), Account(101, 0), Account(102, 0)
TOKENS = {House.ISSUED, House.FEE, House.REDEEMED, WALLET.id, OWED.id, EARNINGS.id}

sold = st.builds(lambda tokens, cents: (tokens, cents), st.integers(1, 10_000), st.integers(50, 100_000))
returned = st.builds(
    lambda package, part: Returned(package[0], package[1], package[1] * part // 1000), sold, st.integers(0, 1000)
)
positions = st.builds(Position, st.integers(-20_000, 20_000), st.lists(returned, max_size=4))


def _sums(postings: Postings) -> tuple[int, int]:
    """Of tokens, of cents."""
    return (
        sum(amount for account, amount in postings.items() if account in TOKENS),
        sum(amount for account, amount in postings.items() if account not in TOKENS),
    )


@given(before=positions, after=positions, cents=st.integers(-100_000, 100_000), fee=st.integers(0, 5000))
def test_postings_sum_to_zero_in_each_unit_whatever_moved(
    before: Position, after: Position, cents: int, fee: int
) -> None:
    postings = ledger.money_moved(WALLET, OWED, before=before, after=after, cents=cents, fee_cents=fee)
    assert _sums(postings) == (0, 0)
    assert 0 not in postings.values()


@given(position=positions)
def test_nobody_has_tokens_and_owes_some_at_once(position: Position) -> None:
    assert position.wallet - position.owed == position.tokens
    assert 0 in {position.wallet, position.owed}


@given(tokens=st.integers(1, 1_000_000))
def test_spent_tokens_sum_to_zero_and_the_fee_is_a_fifth_rounded_down(tokens: int) -> None:
    fee = fee_of(tokens)
    postings = ledger.tokens_spent(WALLET, EARNINGS, tokens=tokens, fee_tokens=fee)
    assert _sums(postings) == (0, 0)
    assert postings[WALLET.id] == -tokens
    assert 5 * fee <= tokens < 5 * fee + 5
    assert postings.get(int(House.FEE), 0) == fee
    assert 0 not in postings.values()


@given(package=sold, parts=st.lists(st.integers(1, 100_000), max_size=6))
def test_tokens_due_only_grow_with_what_is_returned_up_to_all_of_them(
    package: tuple[int, int], parts: list[int]
) -> None:
    tokens, price = package
    back, due = 0, 0
    for part in parts:
        back = min(back + part, price)
        now = Returned(tokens, price, back).due_tokens
        assert due <= now <= tokens
        assert now * price <= tokens * back < (now + 1) * price  # rounded down
        due = now
    assert Returned(tokens, price, price).due_tokens == tokens
    assert Returned(tokens, price, 0).due_tokens == 0
    assert Returned(tokens, price, 2 * price).due_tokens == tokens  # a refund and a dispute of the same money


@given(position=positions)
def test_lost_cents_are_those_of_the_tokens_owed_and_never_more_than_came_back(position: Position) -> None:
    all_returned = sum(one.returned_cents for one in position.returned if one.due_tokens)
    assert 0 <= position.lost_cents <= all_returned
    if not position.owed:
        assert position.lost_cents == 0
    if position.owed >= sum(one.due_tokens for one in position.returned):
        assert position.lost_cents == all_returned


def test_lost_cents_are_the_oldest_purchases_first_when_prices_differ() -> None:
    dear, cheap = Returned(100, 999, 999), Returned(1000, 7999, 7999)
    assert [Position(-owed, (dear, cheap)).lost_cents for owed in (0, 1, 99, 100, 101, 600, 1100)] == [
        *(0, 9, 989, 999, 999 + 7, 999 + 3999, 999 + 7999),
    ]
    assert Position(-600, (cheap, dear)).lost_cents == 4799


def test_lost_cents_leave_out_what_was_returned_for_no_whole_token() -> None:
    assert Position(-50, (Returned(100, 999, 9), Returned(100, 999, 999))).lost_cents == 499


@dataclass(frozen=True)
class _Step:
    """Of one purchase: paid, or so many cents of it returned."""

    purchase: int
    cents: int


@dataclass
class _Books:
    """A user's purchases and the sums of what was booked, one step after another."""

    packages: Sequence[tuple[int, int]]
    start: int

    def __post_init__(self) -> None:
        self.tokens, self.back, self.sums = self.start, [0] * len(self.packages), Counter[int]()

    def position(self) -> Position:
        return Position(self.tokens, [Returned(*one, back) for one, back in zip(self.packages, self.back, strict=True)])

    def book(self, step: _Step) -> None:
        before, (tokens, price) = self.position(), self.packages[step.purchase]
        due = Returned(tokens, price, self.back[step.purchase]).due_tokens
        if step.cents == price:
            self.tokens += tokens
        else:
            self.back[step.purchase] -= step.cents
            self.tokens -= Returned(tokens, price, self.back[step.purchase]).due_tokens - due
        for account, amount in ledger.money_moved(
            WALLET, OWED, before=before, after=self.position(), cents=step.cents, fee_cents=0
        ).items():
            self.sums[account] += amount


@given(data=st.data(), start=st.integers(-3000, 3000))
def test_sums_are_the_same_in_each_order_of_what_is_booked(data: st.DataObject, start: int) -> None:
    packages = [(one.tokens, one.price_cents) for one in PACKAGES.values()]
    steps = [_Step(place, price) for place, (_, price) in enumerate(packages)]
    for place, (_, price) in enumerate(packages):
        parts = data.draw(st.lists(st.integers(1, price // 3), max_size=2))
        steps += [_Step(place, -part) for part in parts]
    one, other = _Books(packages, start), _Books(packages, start)
    for step in steps:
        one.book(step)
    for step in data.draw(st.permutations(steps)):
        other.book(step)
    assert (one.tokens, +one.sums, -one.sums) == (other.tokens, +other.sums, -other.sums)
    end, begin = one.position(), Position(start, [])
    assert one.sums[WALLET.id] == end.wallet - begin.wallet
    assert one.sums[OWED.id] == begin.owed - end.owed
    assert one.sums[int(House.LOSS)] == end.lost_cents


@pytest.mark.parametrize(("tokens", "fee"), [(1, 0), (4, 0), (5, 1), (9, 1), (10, 2), (1_000_000, 200_000)])
def test_fee_is_rounded_down_when_it_is_no_whole_token(tokens: int, fee: int) -> None:
    assert fee_of(tokens) == fee
