"""What reconcile finds, and dies of: each trial leaves something half done, or untold."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.functions.payments.crash import labels, payees
from tests.functions.payments.crash.clock import DAY
from tests.functions.payments.crash.doomed import Ended, Reply
from tests.functions.payments.crash.payout_events import HalfReversed
from tests.functions.payments.crash.payout_trials import Payee, Payout
from tests.functions.payments.crash.points import Way
from tests.functions.payments.crash.trials import CREATOR, posted
from tests.functions.payments.people import new_key
from tools.local.demo import demo_id
from tools.local.stripe.faults import Mode


class _Run(Payee):
    """A run of reconcile. The next one is its repeat."""

    succeeds_with = 200
    request = payees.RECONCILE

    async def retry(self) -> Reply:
        raise AssertionError("there is no request of anybody's")

    async def repeat(self, _: Ended) -> None:
        await payees.reconcile(self.world)


class Idle(_Run):
    """There is nothing to do."""

    async def set_up(self) -> None:
        pass


class _Payout(_Run, Payout):
    """Something is left of a payout."""

    async def set_up(self) -> None:
        await super().set_up()
        await self.leave()
        self.request = payees.RECONCILE

    async def leave(self) -> None:
        """Have it asked for, and get as far as that."""
        assert (await self.buyer.post("payouts", self.body, self.key)).status_code == 201


class Unheard(_Payout):
    """It was sent, and we know, and no event tells of it."""


class Reserved(_Payout):
    """Its process died before it was sent."""

    async def leave(self) -> None:
        await self.reserve()


class Suspended(Reserved):
    """The same, and the creator may not be paid any more."""

    ends_as = "failed"

    async def leave(self) -> None:
        await super().leave()
        await self._become("suspended")

    async def check(self) -> None:
        await self._become("active")  # to look at their balance
        await super().check()

    async def _become(self, status: str) -> None:
        await self.world.owner.execute("UPDATE users SET status = $2 WHERE id::text = $1", self.buyer.user_id, status)


class Unknown(_Payout):
    """Nobody knows what became of it. It never came to Stripe."""

    async def leave(self) -> None:
        await self.world.stripe.faults.set(Mode.DOWN, count=1, only="POST /v1/transfers")
        await super().leave()
        await self.world.clock.passes(31)


class DayOld(Unknown):
    """The same, and Stripe has forgotten its key by now."""

    async def leave(self) -> None:
        await super().leave()
        await self.world.clock.passes(DAY, watched=True)


class ReversalUnheard(_Run, HalfReversed):
    """Some of a payout has come back, and no event tells of it."""

    async def set_up(self) -> None:
        await HalfReversed.set_up(self)
        self.request = payees.RECONCILE


class PaymentUnheard(_Run):
    """Somebody has paid, and no event tells of it."""

    tokens: ClassVar[int] = 100

    async def set_up(self) -> None:
        self.purchase = await self.buyer.begin("t100")
        self.become()

    def become(self) -> None:
        self.world.stripe.confirm(self.purchase["payment_intent"])

    async def tell(self) -> None:
        for event in self.world.events_of(self.purchase["payment_intent"]):
            await self.world.deliver(event)

    async def check(self) -> None:
        self.before = self.before | {"tokens": self.tokens}
        await super().check()
        assert await self.buyer.purchase_status(self.purchase["id"]) == ("paid" if self.tokens else "failed")


class Canceled(PaymentUnheard):
    """Somebody has not paid, and never will. Ten minutes later Stripe is asked for it."""

    tokens = 0

    async def set_up(self) -> None:
        await super().set_up()
        await self.world.clock.passes(601, watched=True)

    def become(self) -> None:
        self.world.stripe.cancel(self.purchase["payment_intent"])


class ToppedUp(_Run):
    """Somebody of the house has paid money in."""

    async def set_up(self) -> None:
        self.entry: Any = self.world.stripe.top_up(1234)["balance_transaction"]

    async def check(self) -> None:
        await super().check()
        assert await self.world.count("house_movements WHERE id = $1 AND cents = 1234", self.entry) == 1


class Undrained(_Run):
    """A process died of a charge when it had committed, and before it dropped the balances in the cache."""

    async def set_up(self) -> None:
        await self.world.grant(self.buyer, 100)
        body = {"creator_id": str(demo_id(CREATOR)), "tokens": 40, "kind": "tip", "note": ""}
        charge = posted(self.buyer, "charge", body, new_key())
        assert (await self.world.doom(charge, labels.CHARGE.index(labels.COMMIT), Way.AFTER)).was_killed

    async def check(self) -> None:
        self.before = self.before | {"tokens": 60}
        await super().check()
        assert await self.world.count("cache_outbox") == 0
