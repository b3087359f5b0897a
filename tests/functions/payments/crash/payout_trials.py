"""What is tried of payouts while processes die. Each is recovered from at once, or on the next day."""

from __future__ import annotations

import json
from abc import abstractmethod
from enum import StrEnum
from typing import Any, ClassVar, Final

import pytest

from functions.payments import senders
from tests.functions.payments.audit_payouts import audit_payouts
from tests.functions.payments.crash import labels_payouts as labels
from tests.functions.payments.crash import payees
from tests.functions.payments.crash.clock import DAY
from tests.functions.payments.crash.doomed import Ended, Reply, Request
from tests.functions.payments.crash.payees import EARNED
from tests.functions.payments.crash.trials import Trial, posted, reply_of
from tests.functions.payments.crash.world import World
from tests.functions.payments.people import Buyer, new_key

TOKENS: Final = 2000
CLAIMED: Final = int(senders.CLAIM_SECONDS) + 1
_AN_HOUR: Final = 3600
_LOCKED: Final = 60


class Recovery(StrEnum):
    """What happens after the death."""

    AT_ONCE = "at once"  # the request is repeated, Stripe delivers its events, and reconcile goes on running
    NEXT_DAY = "next day"  # nobody repeats, no event is delivered, and reconcile runs 25 hours later


class Payee(Trial):
    """Of a creator who has earned 3,000 tokens; `ends_as`: so has the payout ended that they have asked for."""

    ends_as: ClassVar[str | None] = None
    account: ClassVar[str | None] = "active"

    def __init__(self, world: World, buyer: Buyer, recovery: Recovery = Recovery.AT_ONCE) -> None:
        super().__init__(world, buyer)
        self.recovery = recovery

    async def prepare(self) -> None:
        await payees.become_creator(self.world, self.buyer, account=self.account)
        if not await self.world.count("reconcile_marks"):
            await payees.reconcile(self.world)
        self.before = await self.buyer.balance()
        await self.calm()
        await self.set_up()

    async def calm(self) -> None:
        """An hour in which reconcile has run, and nothing happened: what is listed at Stripe now is this trial's."""
        await self.world.clock.passes(_AN_HOUR, watched=True)

    @abstractmethod
    async def set_up(self) -> None:
        """What comes before the request, and the request."""

    async def finish(self, ended: Ended) -> None:
        """Recover, and look at everything."""
        if ended.reply is not None:
            self._check_reply(ended.reply)
        self.begun = await self.payouts()
        self.check_begun(ended)
        if self.recovery is Recovery.AT_ONCE:
            await self.repeat(ended)
            await self.tell()
            await self.world.clock.passes(CLAIMED)
        else:
            await self.world.clock.passes(DAY)
        await self.go_on()
        await payees.reconcile_all(self.world)
        await self.check()
        if self.recovery is Recovery.AT_ONCE:
            await self.tell()
            await self.check()
        assert await audit_payouts(self.world.owner, self.world.stripe) == []  # and all of the books after the test

    def check_begun(self, ended: Ended) -> None:
        """What is sent was said to be, before."""
        if labels.SENDS in ended.labels:
            assert all(one["status"] != "reserved" for one in self.begun)
            assert all(one["sent_at"] or one["status"] == "failed" or one["attempt"] > 1 for one in self.begun)

    async def repeat(self, ended: Ended, /) -> None:
        """As whoever sent the request would."""
        answer = await self.retry()
        assert answer.status == self.succeeds_with, answer
        if ended.reply is not None and ended.reply.status == self.succeeds_with:
            assert ended.reply.said == answer.said
        assert (await self.retry()).said == answer.said

    async def tell(self) -> None:
        """Stripe delivers its events, those that it has delivered among them."""
        for event in payees.events_of(self.world, self.buyer, await self.payouts()):
            await self.world.deliver(event)

    async def go_on(self) -> None:
        """What else happens before reconcile runs."""

    async def check(self) -> None:
        """It is over, the money went once or not at all, and every token is accounted for."""
        made = await self.payouts()
        if self.recovery is Recovery.NEXT_DAY:
            assert [one["name"] for one in made] == [one["name"] for one in self.begun]
        else:
            assert len(made) == (self.ends_as is not None)
        assert [one["status"] for one in made] == [self.ends_as] * len(made)
        sent = payees.transfers_of(self.world, made)
        assert len(sent) == (0 if self.ends_as == "failed" else len(made))
        held = await payees.held(self.world, self.buyer)
        assert (held.total, held.transit) == (EARNED, 0)
        cents = sum(one["amount"] - one["amount_reversed"] for one in sent)
        assert cents == sum(one["net_cents"] for one in made) == held.redeemed * 5
        shown = {"earnings_tokens": held.earnings, "available_tokens": held.earnings, "pending_payout_tokens": 0}
        assert await self.buyer.balance() == self.before | shown

    async def payouts(self) -> list[Any]:
        return await payees.payouts_of(self.world, self.buyer)


class Payout(Payee):
    """2,000 tokens."""

    ends_as: ClassVar[str | None] = "paid"
    tokens: ClassVar[int] = TOKENS

    async def set_up(self) -> None:
        self.key = new_key()
        self.body = {"tokens": self.tokens}
        self.request = posted(self.buyer, "payouts", self.body, self.key)

    async def retry(self) -> Reply:
        """Where the dead one had the lock, it is busy for as long as that lives."""
        answer = await self.buyer.post("payouts", self.body, self.key)
        if answer.status_code == 409:
            assert answer.json()["code"] == "payout_in_progress"
            assert int(answer.headers["retry-after"]) >= 1
            await self.world.clock.passes(_LOCKED)
            answer = await self.buyer.post("payouts", self.body, self.key)
        return reply_of(answer)

    async def reserve(self) -> None:
        """As it is when a process dies between reserving the tokens and sending them."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(senders, "send_new", _nothing)
            assert (await self.buyer.post("payouts", self.body, self.key)).status_code == 201


class Refused(Payout):
    """More than they have: decided and recorded."""

    succeeds_with = 402
    ends_as = None
    tokens = EARNED + 1

    async def check(self) -> None:
        await super().check()
        if self.recovery is Recovery.AT_ONCE:
            assert await self.world.count("idempotency_keys WHERE key = $1 AND status = 402", self.key) == 1


class Repeated(Payout):
    """Of a request whose process has died between reserving and sending."""

    async def set_up(self) -> None:
        await super().set_up()
        await self.reserve()


class Closed(Payout):
    """Stripe has closed the account, which we have not heard of: the tokens are given back."""

    ends_as = "failed"

    async def set_up(self) -> None:
        await super().set_up()
        self.world.stripe.close_account(payees.account_of(self.buyer))

    async def check(self) -> None:
        await super().check()
        sql = "SELECT status FROM payout_accounts WHERE account_id = $1"
        status = await self.world.owner.fetchval(sql, payees.account_of(self.buyer))
        assert status != "active" or not self.begun


class Unsure(Payout):
    """Their account is active, and Stripe's event that told so was lost: it is asked before they are refused."""

    account = "pending"


class NoFunds(Payout):
    """The house has not enough at Stripe, until somebody tops up."""

    async def set_up(self) -> None:
        await super().set_up()
        self.missing = self.world.stripe.available_cents - TOKENS
        self.world.stripe.top_up(-self.missing)
        await payees.reconcile(self.world)

    async def go_on(self) -> None:
        self.world.stripe.top_up(self.missing)


class FirstAccount(Payee):
    """Where they are to be paid to. Who repeats it a day later, when Stripe has forgotten the key, leaves an account
    that nobody uses; it is none of anybody's money."""

    account = None

    async def set_up(self) -> None:
        self.request = Request("/payments/payout-account", self.buyer.headers, "")

    async def retry(self) -> Reply:
        answer = await self.buyer.http.post(self.request.path, headers=self.buyer.headers)
        return _without_url(reply_of(answer))

    async def repeat(self, ended: Ended) -> None:
        if ended.reply is not None and ended.reply.status == self.succeeds_with:
            ended.reply = _without_url(ended.reply)
        await super().repeat(ended)

    async def go_on(self) -> None:
        assert (await self.retry()).status == 201

    async def check(self) -> None:
        await super().check()
        sql = "SELECT account_id FROM payout_accounts WHERE user_id::text = $1"
        account_id = await self.world.owner.fetchval(sql, self.buyer.user_id)
        accounts = self.world.stripe.accounts.values()
        made = [one["id"] for one in accounts if one["metadata"].get("user_id") == self.buyer.user_id]
        assert account_id == made[-1]
        assert len(made) <= (1 if self.recovery is Recovery.AT_ONCE else 2)


async def _nothing(_reserved: object) -> None:
    """In the place of sending it."""


def _without_url(reply: Reply) -> Reply:
    """It is another each time."""
    told = json.loads(reply.body)
    told.get("payout_account", {}).pop("onboarding_url", None)
    return Reply(reply.status, reply.headers, json.dumps(told))
