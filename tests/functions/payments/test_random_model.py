"""Anything that people, Stripe and banks may do, one thing after another, against a model of it in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from functions.payments import balances, charges
from functions.payments.packages import PACKAGES
from shared.http.problems import AccountInactive, IdempotencyKeyReused
from shared.postgres.idempotency import Answer
from tests.functions.payments.people import new_key
from tests.functions.payments.world import Bought, World, difference, wanted
from tests.functions.payments.world_model import Model, Payment, Person

T = TypeVar("T")
NOBODY = "00000000-0000-4000-8000-000000000000"

number = st.integers(min_value=0, max_value=10_000)  # which of those that there are
who = st.integers(min_value=0, max_value=4)


class Life(RuleBasedStateMachine):
    """Two fans, two creators who spend too, and one who has nothing; after each step everybody's balance is looked at
    through the cache."""

    world: World
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.ids: list[str] = []
        self.bought: list[tuple[Bought, str, Payment]] = []
        self.charged: list[tuple[str, str, str, int, Answer]] = []
        self.told_up_to = 0
        self.before: dict[str, int] = {}

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    def tell(self) -> None:
        """Deliver what has happened."""
        events = self.world.stripe.events
        for event in events[self.told_up_to :]:
            self.do(self.world.receive(event))
        self.told_up_to = len(events)

    @initialize()
    def people(self) -> None:
        self.before, self.told_up_to = self.do(self.world.house()), len(self.world.stripe.events)
        for is_creator, granted in ((False, 1000), (False, 0), (True, 300), (True, 0), (False, 0)):
            user_id = self.do(self.world.person(tokens=granted, creator=is_creator))
            self.ids.append(user_id)
            self.model.people[user_id] = Person(is_creator, granted=granted)
        for buyer, package in ((1, "t500"), (1, "t100"), (3, "t1000")):
            self.buy(buyer, package, is_paid=True)

    @rule(buyer=who, package=st.sampled_from(sorted(PACKAGES)), is_paid=st.booleans())
    def buy(self, buyer: int, package: str, *, is_paid: bool) -> None:
        user_id, sold = self.ids[buyer], PACKAGES[package]
        if not self.model.people[user_id].is_active:
            with pytest.raises(AccountInactive):
                self.do(self.world.begin(user_id, package))
            return
        key = new_key()
        bought = self.do(self.world.begin(user_id, package, key))
        assert self.do(self.world.begin(user_id, package, key)) == bought
        payment = Payment(sold.tokens, sold.price_cents)
        self.model.people[user_id].payments.append(payment)
        self.bought.append((bought, user_id, payment))
        if is_paid:
            self._confirm(bought, payment)

    @rule(which=number, is_declined=st.booleans())
    def confirm(self, which: int, *, is_declined: bool) -> None:
        bought, _, payment = self.bought[which % len(self.bought)]
        if payment.is_paid:
            return
        if is_declined:
            with pytest.raises(Exception, match="declined"):
                self.world.stripe.confirm(bought.intent, "pm_card_chargeDeclined")
            payment.is_declined = True
            self.tell()
        else:
            self._confirm(bought, payment)

    def _confirm(self, bought: Bought, payment: Payment) -> None:
        self.world.stripe.confirm(bought.intent)
        payment.pay()
        self.tell()

    @rule(which=number)
    def refund_all(self, which: int) -> None:
        self._refund(which, None)

    @rule(which=number, cents=st.integers(min_value=1, max_value=3000))
    def refund(self, which: int, cents: int) -> None:
        self._refund(which, cents)

    def _refund(self, which: int, cents: int | None) -> None:
        bought, payment = self._paid(which)
        left = payment.cents - payment.returned
        if payment.dispute or not left:
            return
        taken = left if cents is None else min(cents, left)
        payment.refunds[self.world.stripe.refund(bought.intent, taken)["id"]] = taken
        self.tell()

    @precondition(lambda self: any(payment.refunds for _, _, payment in self.bought))
    @rule(which=number)
    def fail_refund(self, which: int) -> None:
        refunds = [(payment, refund_id) for _, _, payment in self.bought for refund_id in payment.refunds]
        payment, refund_id = refunds[which % len(refunds)]
        self.world.stripe.fail_refund(refund_id)
        del payment.refunds[refund_id]
        self.tell()

    @rule(which=number)
    def dispute(self, which: int) -> None:
        bought, payment = self._paid(which)
        if payment.dispute or payment.returned == payment.cents:
            return
        self.world.stripe.dispute(bought.intent)
        payment.open_dispute()
        self.tell()

    @precondition(lambda self: any(payment.dispute == "open" for _, _, payment in self.bought))
    @rule(which=number, won=st.booleans())
    def close_dispute(self, which: int, *, won: bool) -> None:
        open_ones = [(bought, payment) for bought, _, payment in self.bought if payment.dispute == "open"]
        bought, payment = open_ones[which % len(open_ones)]
        (found,) = (one for one in self.world.stripe.disputes.values() if one["payment_intent"] == bought.intent)
        self.world.stripe.close_dispute(found["id"], won=won)
        payment.close_dispute(won=won)
        self.tell()

    @rule(payer=who, creator=st.integers(min_value=0, max_value=5), tokens=st.integers(min_value=1, max_value=700))
    def charge(self, payer: int, creator: int, tokens: int) -> None:
        payer_id, creator_id, key = self.ids[payer], [*self.ids, NOBODY][creator], new_key()
        refused = self.model.refusal(payer_id, creator_id, tokens)
        if refused == "account_inactive":
            with pytest.raises(AccountInactive):
                self.do(self.world.charge(payer_id, creator_id, tokens, key))
            return
        answer = self.do(self.world.charge(payer_id, creator_id, tokens, key))
        assert answer.status == 201 if refused is None else answer.body == refused
        if refused is None:
            self.model.charge(payer_id, creator_id, tokens)
        self.charged.append((key, payer_id, creator_id, tokens, answer))

    @precondition(lambda self: self.charged)
    @rule(which=number, is_other=st.booleans())
    def repeat(self, which: int, *, is_other: bool) -> None:
        key, payer_id, creator_id, tokens, answer = self.charged[which % len(self.charged)]
        if is_other:
            with pytest.raises(IdempotencyKeyReused):
                self.do(charges.charge(payer_id, wanted(creator_id, tokens, "unlock"), key))
        else:
            assert self.do(self.world.charge(payer_id, creator_id, tokens, key)) == answer

    @rule(one=who)
    def suspend_or_not(self, one: int) -> None:
        person = self.model.people[self.ids[one]]
        person.is_active = not person.is_active
        self.do(self.world.set_status(self.ids[one], "active" if person.is_active else "suspended"))

    @invariant()
    def everybody_has_what_the_model_says(self) -> None:
        for user_id, person in self.model.people.items():
            assert self.do(_cached(user_id)) == person.balance
        assert difference(self.before, self.do(self.world.house())) == self.model.house
        for bought, _, payment in self.bought[-3:]:
            assert self.do(self.world.status(bought.id)) == payment.status

    def _paid(self, which: int) -> tuple[Bought, Payment]:
        paid = [(bought, payment) for bought, _, payment in self.bought if payment.is_paid]
        return paid[which % len(paid)]


async def _cached(user_id: str) -> tuple[int, int, int]:
    """As the next read of theirs finds it."""
    found = await balances.space.get_or_load(user_id, load=lambda: balances.load_answer(user_id))
    assert found is not None
    return found.balance.tokens, found.balance.owed_tokens, found.balance.earnings_tokens


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    """The fixtures' own: hypothesis's machines are not async, so each step runs it for a while."""
    return asyncio.get_running_loop()


def _live(world: World, loop: asyncio.AbstractEventLoop, *, lives: int, steps: int) -> None:
    class LifeHere(Life):
        pass

    LifeHere.world, LifeHere.loop = world, loop
    unhurried = settings(
        max_examples=lives, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(LifeHere, settings=unhurried)


def test_everybody_has_what_the_model_says_after_each_step(world: World, loop: asyncio.AbstractEventLoop) -> None:
    _live(world, loop, lives=12, steps=20)


@pytest.mark.slow
def test_everybody_has_what_the_model_says_in_many_more_lives(world: World, loop: asyncio.AbstractEventLoop) -> None:
    _live(world, loop, lives=40, steps=30)
