"""Who reads analytics, a clock that stands still, and earnings of days of the test's choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

from functions.payments.ledger import House, Kind
from functions.payments.packages import fee_of
from tests.functions.payments.world import World


@dataclass
class Clock:
    """What analytics takes the time to be."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def queries_of(answer: httpx.Response) -> int:
    found = re.search(r'queries;desc="(\d+)"', answer.headers["server-timing"])
    assert found is not None
    return int(found[1])


def cache_of(answer: httpx.Response) -> tuple[str, int]:
    """How it was come by, and how many queries that took."""
    assert answer.status_code == 200, answer.text
    return answer.headers["x-cache"], queries_of(answer)


@dataclass(frozen=True)
class Reader:
    """Somebody who reads a creator's numbers: by default the creator themself."""

    http: httpx.AsyncClient
    creator_id: str
    headers: dict[str, str]

    async def get(self, what: str, **query: Any) -> httpx.Response:
        path = f"/analytics/creator/{self.creator_id}/{what}"
        return await self.http.get(path, params=query, headers=self.headers)

    async def earnings(self, first: str, last: str, granularity: str = "day") -> dict[str, int]:
        """Totals by date, in the order that they came in."""
        answer = await self.get("earnings", **{"from": first, "to": last, "granularity": granularity})
        assert answer.status_code == 200, answer.text
        return {bucket["date"]: bucket["total"] for bucket in answer.json()["earnings"]}

    async def summary(self) -> dict[str, int]:
        answer = await self.get("summary")
        assert answer.status_code == 200, answer.text
        found: dict[str, int] = answer.json()["summary"]
        return found


Spent = tuple[datetime, str, int]  # when, who, how many tokens


@dataclass(frozen=True)
class Past:
    """Charges that were made at some time, as the owner of the database writes them."""

    world: World

    @property
    def owner(self) -> asyncpg.Connection[Any]:
        return self.world.owner

    async def spent(self, creator_id: str, charges: Sequence[Spent]) -> None:
        """Each fan is given what they spend."""
        earnings = await self.world.account(creator_id, Kind.EARNINGS)
        wallets = {fan: await self.world.account(fan, Kind.WALLET) for fan in {fan for _, fan, _ in charges}}
        for fan in wallets:
            await self.world.grant(fan, sum(tokens for _, payer, tokens in charges if payer == fan))
        made = [(uuid4(), *charge) for charge in charges]
        postings = [
            posting
            for transfer, at, fan, tokens in made
            for posting in (
                (transfer, wallets[fan], -tokens, at),
                (transfer, earnings, tokens - fee_of(tokens), at),
                (transfer, int(House.FEE), fee_of(tokens), at),
            )
            if posting[2]
        ]
        async with self.owner.transaction():
            await self.owner.executemany(
                "INSERT INTO ledger_transfers (id, kind, created_at) VALUES ($1, 'tip', $2)", [m[:2] for m in made]
            )
            await self.owner.executemany(
                "INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at) VALUES ($1, $2, $3, $4)",
                postings,
            )
            await self.owner.executemany(
                """INSERT INTO charges (transfer_id, payer_id, creator_id, kind, tokens, fee_tokens, created_at)
                   VALUES ($1, $2, $3, 'tip', $4, $5, $6)""",
                [(t, UUID(fan), UUID(creator_id), tokens, fee_of(tokens), at) for t, at, fan, tokens in made],
            )

    async def payout(self, creator_id: str, at: datetime, *, tokens: int, net_cents: int, back: int = 0) -> None:
        """Tokens that went out, of which some came back, dated then."""
        accounts = [await self.world.account(creator_id, kind) for kind in (Kind.EARNINGS, Kind.PAYOUT_TRANSIT)]
        async with self.owner.transaction():
            payout = await self.owner.fetchval(
                """INSERT INTO payouts (creator_id, tokens, amount_cents, currency, account_id, status, net_cents)
                   VALUES ($1, $2, $2 * 5, 'usd', 'acct_1', 'paid', $3) RETURNING id""",
                *(UUID(creator_id), tokens, net_cents),
            )
            for kind, amount in (("payout", tokens), ("payout_failed", -back)):
                if not amount:
                    continue
                transfer = await self.owner.fetchval(
                    "INSERT INTO ledger_transfers (kind, created_at) VALUES ($1, $2) RETURNING id", kind, at
                )
                await self.owner.execute(
                    """INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
                       VALUES ($1, $2, -$4::bigint, $5), ($1, $3, $4, $5)""",
                    *(transfer, *accounts, amount, at),
                )
                await self.owner.execute(
                    "INSERT INTO payout_movements (transfer_id, payout_id, cents) VALUES ($1, $2, 0)", transfer, payout
                )
