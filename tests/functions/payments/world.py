"""People of a test's own, what happens to them at Stripe, and what the books say of it afterwards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from functions.payments import charges, purchases, webhooks
from functions.payments.ledger import House, Kind
from functions.payments.schemas import ChargeIn, PurchaseIn
from shared.postgres import pool
from shared.postgres.idempotency import Answer
from shared.settings import settings
from tests.functions.payments.people import new_key
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

Json = dict[str, Any]
_numbers: Iterator[int] = count(1)


@dataclass(frozen=True)
class Bought:
    """A purchase and its payment."""

    id: str
    intent: str


@dataclass(frozen=True)
class World:
    """Below the gate: no quota is in the way of what is done here. `owner` sees and changes every table."""

    owner: asyncpg.Connection[Any]
    stripe: FakeStripe

    async def person(self, *, tokens: int = 0, creator: bool = False) -> str:
        """Somebody new; `tokens` are given to them."""
        name = f"world_{next(_numbers)}"
        user_id = await self.owner.fetchval(
            """INSERT INTO users (username, email, display_name, is_creator)
               VALUES ($1, $1 || '@digis.test', $1, $2) RETURNING id""",
            *(name, creator),
        )
        if tokens:
            await self.grant(str(user_id), tokens)
        return str(user_id)

    async def grant(self, user_id: str, tokens: int) -> None:
        """Tokens that nobody paid for."""
        async with self.owner.transaction():
            account = await self.account(user_id, Kind.WALLET)
            transfer = await self.owner.fetchval("INSERT INTO ledger_transfers (kind) VALUES ('grant') RETURNING id")
            await self.owner.execute(
                "INSERT INTO ledger_postings (transfer_id, account_id, amount) VALUES ($1, $2, $3), ($1, $4, -$3)",
                *(transfer, account, tokens, int(House.ISSUED)),
            )

    async def account(self, user_id: str, kind: Kind) -> int:
        """The id of one of somebody's accounts, which is made if need be."""
        sql = "SELECT account_id FROM lock_ledger_accounts(ARRAY[$2::text], ARRAY[$1::uuid])"
        return int(await self.owner.fetchval(sql, UUID(user_id), kind))

    async def set_status(self, user_id: str, status: str) -> None:
        await self.owner.execute("UPDATE users SET status = $2 WHERE id = $1", UUID(user_id), status)

    async def begin(self, user_id: str, package: str, key: str | None = None) -> Bought:
        """A pending purchase."""
        answer = await purchases.purchase(user_id, PurchaseIn.model_validate({"package_id": package}), key or new_key())
        made = json.loads(answer.body)["purchase"]
        return Bought(made["id"], made["client_secret"].partition("_secret_")[0])

    async def charge(self, payer: str, creator: str, tokens: int, key: str | None = None) -> Answer:
        return await charges.charge(payer, wanted(creator, tokens), key or new_key())

    async def receive(self, event: Json) -> None:
        """Deliver an event without HTTP. Raise what would be answered."""
        payload = json.dumps(event).encode()
        await webhooks.receive(payload, self.stripe.sign(payload))

    async def status(self, purchase_id: str) -> str:
        return str(await self.owner.fetchval("SELECT status FROM purchases WHERE id = $1", UUID(purchase_id)))

    async def outcome(self, event: Json) -> str | None:
        """What has become of an event; None when it was not dealt with."""
        found = await self.owner.fetchval("SELECT outcome FROM stripe_events WHERE id = $1", event["id"])
        return None if found is None else str(found)

    async def tokens(self, user_id: str) -> tuple[int, int]:
        """What is in the wallet, and what is owed: the sums of the postings."""
        return await self._sum(user_id, Kind.WALLET), -await self._sum(user_id, Kind.OWED)

    async def house(self) -> dict[str, int]:
        """The sums of the house's accounts."""
        rows = await self.owner.fetch(
            """SELECT a.kind AS name, coalesce(sum(p.amount), 0)::bigint AS number
                 FROM ledger_accounts a LEFT JOIN ledger_postings p ON p.account_id = a.id
                WHERE a.user_id IS NULL GROUP BY 1"""
        )
        return {row["name"]: row["number"] for row in rows}

    async def ledger(self) -> dict[str, int]:
        """The same, and how many transfers there are of each kind."""
        rows = await self.owner.fetch("SELECT kind || 's' AS name, count(*) AS number FROM ledger_transfers GROUP BY 1")
        return await self.house() | {row["name"]: row["number"] for row in rows}

    async def _sum(self, user_id: str, kind: Kind) -> int:
        sql = """SELECT coalesce(sum(p.amount), 0) FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id
                  WHERE a.user_id = $1 AND a.kind = $2"""
        return int(await self.owner.fetchval(sql, UUID(user_id), kind))


def without_hurry(patch: pytest.MonkeyPatch) -> None:
    """Those who are made to wait for each other are given time: the machine may be busy with something else."""
    patch.setenv("STRIPE_DEADLINE_MS", "12000")
    settings.cache_clear()
    patch.setattr(pool, "TRANSACTION_SECONDS", 60.0)
    patch.setattr(pool, "BEGIN_SECONDS", 30.0)
    patch.setattr(pool, "CONNECT_SECONDS", 30.0)
    patch.setattr(pool, "STATEMENT_MS", 30_000)


def wanted(creator: str, tokens: int, kind: str = "tip") -> ChargeIn:
    return ChargeIn.model_validate({"creator_id": creator, "tokens": tokens, "kind": kind})


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What has changed, by name."""
    return {name: by for name in sorted(after) if (by := after[name] - before.get(name, 0))}


@asynccontextmanager
async def world_of(owner_url: str, stripe: FakeStripe) -> AsyncIterator[World]:
    """Its webhooks are held: the test delivers them."""
    stripe.webhooks.set(Delivery.HELD)
    stripe.webhooks.deadline_seconds = 60
    owner = await asyncpg.connect(owner_url, timeout=5)
    try:
        yield World(owner, stripe)
    finally:
        await owner.close(timeout=5)
