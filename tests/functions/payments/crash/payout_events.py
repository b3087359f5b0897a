"""Webhooks about payouts, whose receiver dies."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.functions.payments.crash import payees
from tests.functions.payments.crash.doomed import Ended, Reply
from tests.functions.payments.crash.payout_trials import Payee, Payout, Recovery
from tests.functions.payments.people import new_key


class _Told(Payee):
    """An event, sent again after the death, if the day is not over."""

    succeeds_with = 200
    event: dict[str, Any]

    def tell_of(self, event: dict[str, Any]) -> None:
        self.event = event
        self.request = self.world.signed(event)

    async def retry(self) -> Reply:
        await self.world.deliver(self.event)
        return Reply(200, {}, '{"success":true,"received":true}')

    async def check(self) -> None:
        await super().check()
        told = await self.world.count("stripe_events WHERE id = $1 AND outcome = 'booked'", self.event["id"])
        assert told or self.recovery is Recovery.NEXT_DAY


class Created(_Told, Payout):
    """The transfer of a payout that was sent."""

    async def set_up(self) -> None:
        await super().set_up()
        await self.send()
        self.tell_of(payees.events_of(self.world, self.buyer, await self.payouts())[-1])

    async def send(self) -> None:
        assert (await self.buyer.post("payouts", self.body, self.key)).status_code == 201


class Reversed(Created):
    """All of it comes back."""

    ends_as = "reversed"
    cents: ClassVar[int | None] = None

    async def send(self) -> None:
        await super().send()
        await self.tell()
        await self.calm()
        (sent,) = payees.transfers_of(self.world, await self.payouts())
        self.world.stripe.reverse(sent["id"], self.cents)


class HalfReversed(Reversed):
    ends_as = "paid"
    cents = 5000


class Onboarded(_Told):
    """The creator has told Stripe who they are."""

    account = "pending"

    async def set_up(self) -> None:
        account_id = payees.account_of(self.buyer)
        self.world.stripe.onboard(account_id, is_verified=False)
        self.world.stripe.onboard(account_id)
        self.tell_of(payees.events_of(self.world, self.buyer, [])[-1])

    async def finish(self, ended: Ended) -> None:
        """And they are paid, even where we were never told."""
        await super().finish(ended)
        answer = await self.buyer.post("payouts", {"tokens": 1000}, new_key())
        assert answer.status_code == 201
        await payees.reconcile_all(self.world)
        assert [one["status"] for one in await self.payouts()] == ["paid"]
