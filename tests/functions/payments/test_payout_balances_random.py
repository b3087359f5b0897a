"""What may be paid out after random histories of two fans and two creators, against a plain recomputation."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from tests.functions.payments.payees import Payees
from tests.functions.payments.world import World

pytestmark = pytest.mark.slow

HOLD_DAYS = 7
LEAST = 1000


@dataclass(frozen=True)
class Spent:
    """A charge as it counts here."""

    fan: str
    creator: str
    tokens: int
    days: float

    @property
    def fee(self) -> int:
        return self.tokens * 20 // 100

    @property
    def net(self) -> int:
        return self.tokens - self.fee


@dataclass
class Model:
    """Everything that happened, in plain numbers."""

    charges: list[Spent] = field(default_factory=list)
    owed: dict[str, int] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)  # tokens that are gone, less those that came back

    def earnings(self, creator: str) -> int:
        return sum(one.net for one in self.charges if one.creator == creator) - self.paid.get(creator, 0)

    def held_by_debts(self, creator: str) -> int:
        left, owed = self._left(creator), self._owed()
        return sum(min(left[one], owed.get(one, 0)) for one in left if one.days >= HOLD_DAYS)

    def available(self, creator: str) -> int:
        old = sum(left for one, left in self._left(creator).items() if one.days >= HOLD_DAYS)
        return old - self.held_by_debts(creator)

    def _left(self, creator: str) -> dict[Spent, int]:
        """What is left of each charge of a creator when payouts have taken the oldest first."""
        gone, left = self.paid.get(creator, 0), {}
        for one in sorted(self.charges, key=lambda charge: -charge.days):
            if one.creator == creator:
                taken = min(gone, one.net)
                gone, left[one] = gone - taken, one.net - taken
        return left

    def _owed(self) -> dict[Spent, int]:
        """The creators' part of what each fan has spent last and owes."""
        found = {}
        for fan, owed in self.owed.items():
            due = owed
            for one in sorted(self.charges, key=lambda charge: charge.days):
                if one.fan == fan and due:
                    part = min(due, one.tokens)
                    due -= part
                    found[one] = part - part * one.fee // one.tokens
        return found


@dataclass
class History:
    """The same things done to the ledger and to the model."""

    payees: Payees
    chance: random.Random
    fans: list[str]
    creators: list[str]
    model: Model = field(default_factory=Model)
    steps: list[str] = field(default_factory=list)
    _paid: list[tuple[str, str, int]] = field(default_factory=list)  # creator, payout, tokens

    async def step(self) -> None:
        fan, creator = self.chance.choice(self.fans), self.chance.choice(self.creators)
        action = self.chance.choice(["earn", "earn", "owe", "repay", "pay out", "pay out", "pay out", "reverse"])
        if action == "earn":
            await self._earn(fan, creator)
        elif action == "owe" and self.model.owed.get(fan, 0) < 2500:
            more = self.chance.choice([7, self.chance.randrange(1, 1500), 2500])
            await self.payees.owe(fan, more)
            self.model.owed[fan] = self.model.owed.get(fan, 0) + more
        elif action == "repay" and self.model.owed.get(fan, 0) >= 100:
            await self.payees.repay(fan)
            self.model.owed[fan] -= 100
        elif action == "pay out" and not self.model.held_by_debts(creator):
            await self.pay_out(creator, self.chance.choice([self.chance.randrange(LEAST, 5000), 10_000]))
        elif action == "reverse" and self._paid:
            await self._reverse(*self._paid.pop())
        self.steps.append(action)

    async def _earn(self, fan: str, creator: str) -> None:
        days = self.chance.choice([self.chance.uniform(0, 6.9), *(self.chance.uniform(7.1, 40) for _ in range(3))])
        one = Spent(fan, creator, self.chance.choice([9, *(self.chance.randrange(1, 6000) for _ in range(2))]), days)
        await self.payees.earn(fan, creator, one.tokens, days=days)
        self.model.charges.append(one)

    async def pay_out(self, creator: str, most: int) -> None:
        tokens = min(self.model.available(creator), most)
        if tokens < LEAST:
            return
        payout_id = await self.payees.pay_out(creator, tokens)
        assert await self.payees.status(payout_id) == "paid"
        self.model.paid[creator] = self.model.paid.get(creator, 0) + tokens
        self._paid.append((creator, payout_id, tokens))

    async def _reverse(self, creator: str, payout_id: str, tokens: int) -> None:
        back = self.chance.choice([tokens, self.chance.randrange(1, tokens)])
        self.payees.world.stripe.reverse(await self.payees.transfer_of(payout_id), back * 5)
        await self.payees.tell()
        self.model.paid[creator] -= back

    async def check(self) -> None:
        for creator in self.creators:
            found = (await self.payees.earnings(creator), await self.payees.available(creator))
            assert found == (self.model.earnings(creator), self.model.available(creator)), self.steps


async def _begin(world: World, seed: int) -> History:
    payees = Payees(world)
    await payees.fund(5)
    people = [await world.person() for _ in range(2)], [await payees.creator() for _ in range(2)]
    return History(payees, random.Random(seed), *people)


@pytest.mark.parametrize("seed", range(4))
async def test_balances_are_those_of_a_plain_recomputation(world: World, seed: int) -> None:
    history = await _begin(world, seed)
    for _ in range(24):
        await history.step()
        await history.check()


@pytest.mark.parametrize("seed", [7, 8])
async def test_all_that_may_be_paid_out_is_paid_out_once(world: World, seed: int) -> None:
    """Whoever owes what: a payout makes nothing else payable."""
    history = await _begin(world, seed)
    while sum(one.days > HOLD_DAYS for one in history.model.charges) < 8:
        await history.step()
    for fan in history.fans:
        await history.payees.owe(fan, 1500)
    for creator in history.creators:
        available = await history.payees.available(creator)
        while available >= LEAST:
            payout_id = await history.payees.pay_out(creator, min(available, 2000))
            assert await history.payees.status(payout_id) == "paid"
            left = await history.payees.available(creator)
            assert left == available - min(available, 2000), history.steps
            available = left
