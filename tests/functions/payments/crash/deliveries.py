"""Webhooks whose receiver dies: each prepares a payment, and the event about it that is doomed."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.functions.payments.crash.doomed import Reply
from tests.functions.payments.crash.trials import CREATOR, Trial
from tests.functions.payments.crash.world import World
from tests.functions.payments.people import Buyer
from tools.local.demo import demo_id


class Delivery(Trial):
    """An event, sent again after the death. `is_first`: before the others of its payment; otherwise after them."""

    succeeds_with = 200
    event_type: ClassVar[str]
    outcome: ClassVar[str] = "booked"
    status: ClassVar[str]
    moves: ClassVar[int]  # balance transactions in all
    tokens: ClassVar[int]  # what they have in the end
    owed: ClassVar[int] = 0

    def __init__(self, world: World, buyer: Buyer, *, is_first: bool = True) -> None:
        super().__init__(world, buyer)
        self.is_first = is_first

    async def prepare(self) -> None:
        self.purchase = await self.buyer.begin("t100")
        self.intent = self.purchase["payment_intent"]
        self.world.stripe.confirm(self.intent)
        await self.go_on()
        self.before = await self.buyer.balance()
        (self.event,) = self.find_event()
        self.request = self.world.signed(self.event)

    def find_event(self) -> list[dict[str, Any]]:
        return [one for one in self.world.events_of(self.intent) if one["type"] == self.event_type]

    async def go_on(self) -> None:
        """What else happens before the event."""

    async def retry(self) -> Reply:
        events = self.world.events_of(self.intent)
        others = [event for event in events if event["id"] != self.event["id"]]
        for event in [self.event, *others] if self.is_first else [*reversed(others), self.event]:
            await self.world.deliver(event)
        return Reply(200, {}, '{"success":true,"received":true}')

    async def check(self) -> None:
        booked = await self.world.owner.fetchval("SELECT outcome FROM stripe_events WHERE id = $1", self.event["id"])
        assert booked == self.outcome
        made = self.purchase["id"]
        events = {self.event["id"], *(event["id"] for event in self.world.events_of(self.intent))}
        assert await self.world.count("stripe_events WHERE id = ANY($1)", events) == len(events)
        assert await self.world.count("stripe_events WHERE outcome = 'parked'") == 0
        assert await self.world.count("purchase_movements WHERE purchase_id::text = $1", made) == self.moves
        assert await self.buyer.purchase_status(made) == self.status
        await self.world.shows(self.buyer, {**self.before, "tokens": self.tokens, "owed_tokens": self.owed})


class Paid(Delivery):
    event_type = "payment_intent.succeeded"
    status = "paid"
    moves = 1
    tokens = 100


class Ignored(Paid):
    """It tells nothing that another event does not tell."""

    event_type = "charge.succeeded"
    outcome = "ignored"

    def find_event(self) -> list[dict[str, Any]]:
        events = [one for one in self.world.stripe.events if one["type"] == self.event_type]
        return [one for one in events if one["data"]["object"]["payment_intent"] == self.intent]


class _Spent(Delivery):
    """The tokens are spent when the money goes."""

    tokens = 0
    moves = 2

    async def go_on(self) -> None:
        for event in self.world.events_of(self.intent):
            await self.world.deliver(event)
        assert (await self.buyer.charge(CREATOR, 100)).status_code == 201
        assert await self.world.count("charges WHERE payer_id = $1", demo_id(self.buyer.username)) == 1
        self.take()

    def take(self) -> Any:
        raise NotImplementedError


class Refund(_Spent):
    """Half of the money, for tokens that are spent already."""

    event_type = "charge.refunded"
    status = "paid"
    owed = 50

    def take(self) -> Any:
        return self.world.stripe.refund(self.intent, 500)


class Dispute(_Spent):
    """All of the money, and a fee."""

    event_type = "charge.dispute.created"
    status = "disputed"
    owed = 100

    def take(self) -> Any:
        return self.world.stripe.dispute(self.intent)
