"""Workers: each does random things as one fan, whose wallet nobody else spends from, so that it knows what is in it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from functions.payments import balances, charges
from functions.payments.packages import PACKAGES
from functions.payments.schemas import ChargeOut
from shared.http.problems import IdempotencyKeyReused, RequestInFlight
from shared.postgres.idempotency import Answer
from tests.functions.payments.people import new_key
from tests.functions.payments.world import Bought, Json, World, wanted
from tests.functions.payments.world_model import Payment, Person

# How often, in a hundred.
OPERATIONS = {
    "charge": 46,
    "charge_at_once": 3,
    "read": 12,
    "repeat": 8,
    "repeat_at_once": 4,
    "reuse": 3,
    "buy": 7,
    "refund": 6,
    "fail_refund": 4,
    "dispute": 4,
    "redeliver": 3,
}


@dataclass
class Worker:
    """`creators` are whom it pays. `fan` may be a creator too, whom others pay meanwhile."""

    world: World
    fan: str
    person: Person
    creators: Sequence[str]
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    events: list[Json] = field(default_factory=list)
    _bought: list[tuple[Bought, Payment]] = field(default_factory=list)
    _charged: list[tuple[str, str, int, Answer]] = field(default_factory=list)

    async def work(self, operations: int) -> None:
        """The first is a purchase, so that there is something to return."""
        more = self.chance.choices(list(OPERATIONS), list(OPERATIONS.values()), k=operations - 1)
        for name in ("buy", *more):
            await getattr(self, f"_{name}")()
            self.done[name] += 1
            await self._read()

    async def _charge(self) -> None:
        """Mostly of what there is, at times of more."""
        wallet, _, _ = self.person.balance
        tokens = self.chance.randint(1, wallet // 8 + 20)
        key, creator = new_key(), self.chance.choice(self.creators)
        self._booked(key, creator, tokens, await self.world.charge(self.fan, creator, tokens, key))

    def _booked(self, key: str, creator: str, tokens: int, answer: Answer) -> None:
        wallet, _, _ = self.person.balance
        if tokens > wallet:
            assert (answer.status, answer.body) == (402, "insufficient_tokens")
        else:
            self.person.spent += tokens
            made = ChargeOut.model_validate_json(answer.body)
            assert (made.balance.tokens, made.charge.fee_tokens) == (wallet - tokens, tokens // 5)
        self._charged.append((key, creator, tokens, answer))

    async def _charge_at_once(self) -> None:
        """Several, of what is there for all of them: they take the same accounts, and some of other fans' too."""
        wallet, _, _ = self.person.balance
        tokens = self.chance.randint(1, 9)
        creators = self.chance.choices(self.creators, k=min(4, wallet // tokens))
        keys = [new_key() for _ in creators]
        tries = (self.world.charge(self.fan, one, tokens, key) for one, key in zip(creators, keys, strict=True))
        for key, creator, answer in zip(keys, creators, await asyncio.gather(*tries), strict=True):
            assert answer.status == 201
            self.person.spent += tokens
            self._charged.append((key, creator, tokens, answer))

    async def _repeat(self) -> None:
        if self._charged:
            key, creator, tokens, answer = self.chance.choice(self._charged)
            assert await self.world.charge(self.fan, creator, tokens, key) == answer

    async def _repeat_at_once(self) -> None:
        """A new key three times at the same time: one is done, the others are told the same or to wait."""
        key, creator, tokens = new_key(), self.chance.choice(self.creators), self.chance.randint(1, 50)
        tries = (self.world.charge(self.fan, creator, tokens, key) for _ in range(3))
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(one, Answer | RequestInFlight) for one in answers), answers
        given = [one for one in answers if isinstance(one, Answer)]
        assert given
        assert len(set(given)) == 1
        self._booked(key, creator, tokens, given[0])

    async def _reuse(self) -> None:
        if self._charged:
            key, creator, tokens, _ = self.chance.choice(self._charged)
            try:
                await charges.charge(self.fan, wanted(creator, tokens, "call"), key)
            except IdempotencyKeyReused:
                return
            raise AssertionError("another request under the same key was answered")

    async def _buy(self) -> None:
        package = PACKAGES[self.chance.choice(("t100", "t500", "t1000"))]
        bought, payment = await self.world.begin(self.fan, package.id), Payment(package.tokens, package.price_cents)
        self.person.payments.append(payment)
        self._bought.append((bought, payment))
        before = len(self.world.stripe.events)
        self.world.stripe.confirm(bought.intent)
        payment.pay()
        await self._tell(before)

    async def _refund(self) -> None:
        """Of two purchases where there are, which are told of at the same time."""
        open_ones = [one for one in self._bought if not one[1].dispute and one[1].returned < one[1].cents]
        before = len(self.world.stripe.events)
        for bought, payment in self.chance.sample(open_ones, min(2, len(open_ones))):
            cents = min(payment.cents - payment.returned, self.chance.choice((1, 777, 99_999)))
            payment.refunds[self.world.stripe.refund(bought.intent, cents)["id"]] = cents
        await self._tell(before)

    async def _fail_refund(self) -> None:
        refunds = [(payment, refund_id) for _, payment in self._bought for refund_id in payment.refunds]
        if refunds:
            payment, refund_id = self.chance.choice(refunds)
            before = len(self.world.stripe.events)
            self.world.stripe.fail_refund(refund_id)
            del payment.refunds[refund_id]
            await self._tell(before)

    async def _dispute(self) -> None:
        """Open one, win or lose it: what has happened is told of together."""
        open_ones = [one for one in self._bought if not one[1].dispute and one[1].returned < one[1].cents]
        if open_ones:
            bought, payment = self.chance.choice(open_ones)
            before = len(self.world.stripe.events)
            dispute_id = self.world.stripe.dispute(bought.intent)["id"]
            payment.open_dispute()
            if self.chance.random() < 0.7:
                won = self.chance.random() < 0.5
                self.world.stripe.close_dispute(dispute_id, won=won)
                payment.close_dispute(won=won)
            await self._tell(before)

    async def _redeliver(self) -> None:
        if self.events:
            await self.world.receive(self.chance.choice(self.events))

    async def _tell(self, before: int) -> None:
        """What this worker's last step made happen, shuffled, all at once; some of it left out, where more follows."""
        events = self.world.stripe.events[before:]
        last = {
            event["data"]["object"].get("payment_intent") or event["data"]["object"]["id"]: event for event in events
        }
        told = [event for event in events if event in last.values() or self.chance.random() < 0.5]
        self.events += told
        await asyncio.gather(*(self.world.receive(event) for event in self.chance.sample(told, len(told))))

    async def _read(self) -> None:
        """The next read is right, through the cache."""
        found = await balances.space.get_or_load(self.fan, load=lambda: balances.load_answer(self.fan))
        assert found is not None
        wallet, owed, _ = self.person.balance
        assert (found.balance.tokens, found.balance.owed_tokens) == (wallet, owed)
