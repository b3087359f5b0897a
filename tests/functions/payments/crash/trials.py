"""What is tried while processes die: each prepares its people, names the request that is doomed, and is retried."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final

import httpx

from tests.functions.payments.crash import labels
from tests.functions.payments.crash.doomed import Ended, Reply, Request
from tests.functions.payments.crash.points import Way
from tests.functions.payments.crash.world import World
from tests.functions.payments.people import Buyer, new_key
from tools.local.demo import demo_id
from tools.local.stripe.faults import Mode

CREATOR: Final = "luna"
_RETRIABLE: Final = {"upstream_unavailable", "rate_limiter_unavailable", "payment_provider_unavailable"}


class Trial(ABC):
    """One person's request in the world. A trial is used once."""

    succeeds_with: ClassVar[int] = 201
    lives_with: ClassVar[int | None] = None  # what the doomed process answers when nobody kills it, if that is another
    request: Request

    def __init__(self, world: World, buyer: Buyer) -> None:
        self.world = world
        self.buyer = buyer

    @abstractmethod
    async def prepare(self) -> None:
        """Everything that comes before the request, and the request."""

    @abstractmethod
    async def retry(self) -> Reply:
        """As whoever sent it would: until it has succeeded. The answer."""

    @abstractmethod
    async def check(self) -> None:
        """It has happened, once."""

    async def finish(self, ended: Ended) -> None:
        """Retry after the end of that process, and look at everything."""
        if ended.reply is not None:
            self._check_reply(ended.reply)
        answer = await self.retry()
        assert answer.status == self.succeeds_with, answer
        if ended.reply is not None and ended.reply.status == self.succeeds_with:
            assert ended.reply.said == answer.said
        assert (await self.retry()).said == answer.said
        await self.check()
        assert await self.world.audit() == []

    def _check_reply(self, reply: Reply) -> None:
        """Whoever lived on said that it was done, or that it is worth another try."""
        if reply.status != self.succeeds_with:
            assert (reply.status, json.loads(reply.body)["code"] in _RETRIABLE) == (503, True), reply
            assert int(reply.headers["retry-after"]) >= 1


class Purchase(Trial):
    """A package of 100 tokens."""

    async def prepare(self) -> None:
        self.key = new_key()
        self.before = await self.buyer.balance()
        self.request = posted(self.buyer, "tokens/purchase", {"package_id": "t100"}, self.key)

    async def retry(self) -> Reply:
        if await self._is_held():
            busy = await self.buyer.purchase(key=self.key)
            assert (busy.status_code, busy.json()["code"]) == (409, "request_in_flight")
            assert 1 <= int(busy.headers["retry-after"]) <= 20
            await self.outlive_claim()
        return reply_of(await self.buyer.purchase(key=self.key))

    async def check(self) -> None:
        made = await self._only_purchase()
        intents = self._intents_of(made)
        assert [one["id"] for one in intents] == [made["payment_intent_id"]]
        if intents[0]["status"] != "succeeded":
            self.world.stripe.confirm(made["payment_intent_id"])
        for event in 2 * self.world.events_of(made["payment_intent_id"]):
            await self.world.deliver(event)
        assert [one["status"] for one in intents] == ["succeeded"]
        assert await self.world.count("purchase_movements WHERE purchase_id = $1", made["id"]) == 1
        assert await self.buyer.purchase_status(str(made["id"])) == "paid"
        await self.world.shows(self.buyer, {**self.before, "tokens": self.before["tokens"] + 100})

    async def outlive_claim(self) -> None:
        """In place of waiting for its end."""
        await self.world.owner.execute(
            "UPDATE idempotency_keys SET claimed_until = now() - interval '1 second' WHERE key = $1", self.key
        )

    async def _only_purchase(self) -> Any:
        sql = "SELECT * FROM purchases WHERE user_id = $1"
        (made,) = await self.world.owner.fetch(sql, demo_id(self.buyer.username))
        return made

    def _intents_of(self, purchase: Any) -> list[Any]:
        intents = self.world.stripe.payment_intents.values()
        return [one for one in intents if one["metadata"]["purchase_id"] == str(purchase["id"])]

    async def _is_held(self) -> bool:
        sql = "SELECT answer IS NULL AND claimed_until > clock_timestamp() FROM idempotency_keys WHERE key = $1"
        return bool(await self.world.owner.fetchval(sql, self.key))


class ResumedPurchase(Purchase):
    """A process was killed before it called Stripe, and this is the retry."""

    dies: ClassVar[Way] = Way.BEFORE

    async def prepare(self) -> None:
        await super().prepare()
        ended = await self.world.doom(self.request, labels.PURCHASE.index(labels.CREATES_INTENT), self.dies)
        assert ended.was_killed
        await self.outlive_claim()


class OvertakenPurchase(ResumedPurchase):
    """A process was killed before it heard Stripe's answer, the payment was made, and its webhook came before this
    retry."""

    dies = Way.AFTER

    async def prepare(self) -> None:
        await super().prepare()
        (intent,) = self._intents_of(await self._only_purchase())
        self.world.stripe.confirm(intent["id"])
        for event in self.world.events_of(intent["id"]):
            await self.world.deliver(event)
        await self.buyer.balance()


class FailedPurchase(Purchase):
    """Stripe fails by itself, and would repeat that for a day under the same key of ours."""

    lives_with = 503

    async def prepare(self) -> None:
        await super().prepare()
        await self.world.stripe.faults.set(Mode.ERROR_500, count=1, only="POST /v1/payment_intents")

    async def retry(self) -> Reply:
        await self.world.stripe.faults.set(Mode.OK)
        answer = await super().retry()
        if answer.status == 503:  # the process died before it could note that this key is spent
            assert json.loads(answer.body)["code"] == "payment_provider_unavailable"
            answer = await super().retry()
        return answer


class Charge(Trial):
    """40 of 100 tokens, of which a fifth is the house's."""

    async def prepare(self) -> None:
        await self.world.grant(self.buyer, 100)
        self.key = new_key()
        self.before = await self.buyer.balance()
        self.earned = await self.world.earnings(CREATOR)
        self.body = {"creator_id": str(demo_id(CREATOR)), "tokens": 40, "kind": "tip", "note": "thank you"}
        self.request = posted(self.buyer, "charge", self.body, self.key)

    async def retry(self) -> Reply:
        return reply_of(await self.buyer.post("charge", self.body, self.key))

    async def check(self) -> None:
        assert await self.world.count("charges WHERE payer_id = $1", demo_id(self.buyer.username)) == 1
        assert await self.world.earnings(CREATOR) == self.earned + 32
        await self.world.shows(self.buyer, {**self.before, "tokens": self.before["tokens"] - 40})


class ColdCharge(Charge):
    """Redis has been emptied: the session is asked of Postgres, and the scripts are sent again."""

    async def prepare(self) -> None:
        await super().prepare()
        await self.world.rest.command("FLUSHALL")
        await self.world.rest.command("SCRIPT", "FLUSH")


class RefusedCharge(Charge):
    """More than they have: decided and recorded, as a success is."""

    succeeds_with = 402

    async def prepare(self) -> None:
        await super().prepare()
        self.body["tokens"] = self.before["tokens"] + 1
        self.request = posted(self.buyer, "charge", self.body, self.key)

    async def check(self) -> None:
        assert await self.world.count("charges WHERE payer_id = $1", demo_id(self.buyer.username)) == 0
        assert await self.world.count("idempotency_keys WHERE key = $1 AND status = 402", self.key) == 1
        assert await self.world.earnings(CREATOR) == self.earned
        await self.world.shows(self.buyer, self.before)


def posted(buyer: Buyer, path: str, body: Any, key: str) -> Request:
    """What `buyer.post` sends."""
    headers = {**buyer.headers, "idempotency-key": key, "content-type": "application/json"}
    return Request(f"/payments/{path}", headers, json.dumps(body))


def reply_of(answer: httpx.Response) -> Reply:
    return Reply(answer.status_code, dict(answer.headers), answer.text)
