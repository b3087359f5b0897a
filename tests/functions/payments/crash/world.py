"""Where processes die: the servers, the people, and what is to be found there afterwards."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import asyncpg
import httpx

from functions.payments import balances
from functions.payments.ledger import House, Kind
from shared.cache.entry import Entry
from shared.limits import gate
from shared.postgres.outbox import drain
from shared.postgres.pool import database
from tests.functions.payments.audit import audit
from tests.functions.payments.crash.clock import Clock
from tests.functions.payments.crash.doomed import Ended, Order, Request, Stopped, Zygote
from tests.functions.payments.crash.points import ALIVE, Way
from tests.functions.payments.people import Buyer
from tests.support import new_token
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

STALE_MS: Final = 30_000  # the longest that a dead process's drop may be missed

IGNORED: Final = ("payment_intent.created", "charge.succeeded")

_PASSED_ON: Final = (
    *("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_DEADLINE_MS"),
    *("STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_DEADLINE_MS", "CRON_SECRET"),
)


@dataclass
class World:
    """One database, one Redis and one Stripe, in front of which any number of processes die."""

    http: httpx.AsyncClient
    stripe: FakeStripe
    rest: RestServer
    zygote: Zygote
    owner: asyncpg.Connection[Any]
    owner_url: str
    app_url: str
    clock: Clock
    _numbers: Iterator[int] = field(default_factory=count)

    async def newcomer(self) -> Buyer:
        """Somebody who has just registered and signed in, and whom no quota stops."""
        rates = [found.decode() for found in await self.rest.command("KEYS", "rate:*")]
        if rates:
            await self.rest.command("DEL", *rates)
        gate.blocked.clear()
        name = f"newcomer{next(self._numbers)}"
        await self.owner.execute(
            "INSERT INTO users (id, username, email, display_name) VALUES ($1, $2, $2 || '@digis.test', $2)",
            *(demo_id(name), name),
        )
        return Buyer(self.http, self.stripe, name, await new_token(name))

    async def doom(
        self, request: Request, point: int | None = None, way: Way | None = None, *, plant: str | None = None
    ) -> Ended:
        """Serve the request in a process of its own; return when Postgres, too, is done with that process."""
        ended = await self.zygote.run(self._order(request, point, way, plant))
        await self._noticed(ended)
        return ended

    @asynccontextmanager
    async def stop(self, request: Request, point: int, *, plant: str | None = None) -> AsyncIterator[Stopped]:
        """Serve the request in a process of its own, which stands still before that point until it is let go."""
        async with self.zygote.stop(self._order(request, point, Way.STOPPED, plant)) as stopped:
            yield stopped

    def _order(self, request: Request, point: int | None, way: Way | None, plant: str | None) -> Order:
        env = {name: os.environ[name] for name in _PASSED_ON} | {"DATABASE_URL": self.app_url}
        return Order(env, request, str(self.clock.file), point, way, plant)

    async def _noticed(self, ended: Ended) -> None:
        # Each of its connections holds this lock until its server process has gone, with whatever it was doing.
        await self.owner.execute(f"SELECT pg_advisory_lock({ALIVE}, {ended.run})", timeout=30)
        await self.owner.execute(f"SELECT pg_advisory_unlock({ALIVE}, {ended.run})")

    async def audit(self) -> list[str]:
        return await audit(self.owner_url, self.stripe)

    async def deliver(self, event: dict[str, Any]) -> None:
        assert await self.stripe.deliver(event) == 200

    def signed(self, event: dict[str, Any]) -> Request:
        """The delivery of an event."""
        body = json.dumps(event)
        return Request("/payments/webhooks/stripe", {"stripe-signature": self.stripe.sign(body.encode())}, body)

    def events_of(self, payment_intent: str) -> list[dict[str, Any]]:
        """Those about this payment that may move something, the oldest first."""
        return [
            event
            for event in self.stripe.events
            if payment_intent in {event["data"]["object"]["id"], event["data"]["object"].get("payment_intent")}
            and event["type"] not in IGNORED
        ]

    async def count(self, sql: str, *arguments: Any) -> int:
        return int(await self.owner.fetchval(f"SELECT count(*) FROM {sql}", *arguments))  # noqa: S608

    async def grant(self, buyer: Buyer, tokens: int) -> None:
        """Tokens that nobody has paid for."""
        async with self.owner.transaction():
            user_id = demo_id(buyer.username)
            wallet = await self.owner.fetchval(
                "SELECT account_id FROM lock_ledger_accounts($1, $2)", [Kind.WALLET], [user_id]
            )
            await self.owner.execute(
                """WITH made AS (INSERT INTO ledger_transfers (kind) VALUES ('grant') RETURNING id)
                   INSERT INTO ledger_postings (transfer_id, account_id, amount)
                   SELECT made.id, p.id, p.amount FROM made, unnest($1::bigint[], $2::bigint[]) AS p (id, amount)""",
                *([int(House.ISSUED), wallet], [-tokens, tokens]),
            )

    async def earnings(self, username: str) -> int:
        sql = "SELECT balance FROM ledger_accounts WHERE user_id = $1 AND kind = 'earnings'"
        return int(await self.owner.fetchval(sql, demo_id(username)) or 0)

    async def shows(self, buyer: Buyer, expected: dict[str, int]) -> None:
        """What they are shown is right; or, where the process died between its commit and its drop, it is old, for a
        bounded time, and right as soon as the outbox is drained."""
        shown = await buyer.balance()
        if shown != expected:
            key = balances.space.key(buyer.user_id)
            assert await self.count("cache_outbox WHERE $1 = ANY(keys)", key), "nobody will ever drop it"
            raw = await self.rest.command("GET", key)
            cached = Entry.decode(raw.decode())
            assert cached is not None
            assert cached.fresh_until_ms - time.time_ns() // 1_000_000 <= STALE_MS
        while await drain(database().transaction):
            pass
        assert await self.count("cache_outbox") == 0
        assert await buyer.balance() == expected
