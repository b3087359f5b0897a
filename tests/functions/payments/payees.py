"""Creators who are paid out, below the gate: what they earned some days ago, from whom, and what those owe since."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from functions.payments import balances, payout_accounts, payouts
from functions.payments.ledger import House, Kind
from functions.payments.schemas import PayoutIn
from tests.functions.payments.people import new_key
from tests.functions.payments.world import World

Json = dict[str, Any]

_PACKAGE = ("t5000", 5000, 34_999)


@dataclass(frozen=True)
class Payees:
    """A world with creators who have accounts, and with money at Stripe for them. Its webhooks are told by `tell`."""

    world: World
    _told: set[str] = field(default_factory=set)

    async def creator(self) -> str:
        """Somebody who may be paid out."""
        user_id = await self.world.person(creator=True)
        await self.world.owner.execute("UPDATE users SET email_verified_at = now() WHERE id = $1", UUID(user_id))
        await payout_accounts.open_account(user_id)
        sql = "SELECT account_id FROM payout_accounts WHERE user_id = $1"
        self.world.stripe.onboard(await self.world.owner.fetchval(sql, UUID(user_id)))
        await self.tell()
        return user_id

    async def fund(self, times: int = 1) -> None:
        """Have money at Stripe for some 6,700 tokens, each time."""
        bank = await self.world.person()
        for _ in range(times):
            self.world.stripe.confirm((await self.world.begin(bank, "t5000")).intent)
        await self.tell()

    async def earn(self, fan: str, creator: str, tokens: int, *, days: float) -> None:
        """What a fan spent on a creator so long ago, with tokens that they were given."""
        fee = tokens * 20 // 100
        owner = self.world.owner
        await self.world.grant(fan, tokens)
        wallet, earnings = await self.world.account(fan, Kind.WALLET), await self.world.account(creator, Kind.EARNINGS)
        async with owner.transaction():
            row = await owner.fetchrow(
                """INSERT INTO ledger_transfers (kind, created_at) VALUES ('tip', now() - $1 * interval '1 day')
                   RETURNING id, created_at""",
                days,
            )
            assert row is not None
            postings = {wallet: -tokens, earnings: tokens - fee, int(House.FEE): fee}
            await owner.execute(
                """INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
                   SELECT $1, p.account, p.amount, $2 FROM unnest($3::bigint[], $4::bigint[]) AS p (account, amount)
                    WHERE p.amount <> 0""",
                *(row["id"], row["created_at"], list(postings), list(postings.values())),
            )
            await owner.execute(
                """INSERT INTO charges (transfer_id, payer_id, creator_id, kind, tokens, fee_tokens, created_at)
                   VALUES ($1, $2, $3, 'tip', $4, $5, $6)""",
                *(row["id"], UUID(fan), UUID(creator), tokens, fee, row["created_at"]),
            )

    async def owe(self, fan: str, more: int) -> None:
        """The fan comes to owe so many tokens more, 5,000 in all at the most: of a purchase that is refunded when its
        tokens are gone."""
        package, bought_tokens, price = _PACKAGE
        _, owed = await self.world.tokens(fan)
        bought = await self.world.begin(fan, package)
        self.world.stripe.confirm(bought.intent)
        await self.tell()
        wallet, _ = await self.world.tokens(fan)
        await self.world.grant(fan, -wallet)  # gone, on what is nobody's matter
        self.world.stripe.refund(bought.intent, -(-(owed + more) * price // bought_tokens))
        await self.tell()

    async def repay(self, fan: str) -> None:
        """By a purchase of 100 tokens."""
        self.world.stripe.confirm((await self.world.begin(fan, "t100")).intent)
        await self.tell()

    async def pay_out(self, creator: str, tokens: int) -> str:
        """Ask for it, and hear of it; the payout's id."""
        answer = await payouts.request(creator, PayoutIn(tokens=tokens), new_key())
        assert answer.status == 201, answer.body
        await self.tell()
        return str(json.loads(answer.body)["payout"]["id"])

    async def transfer_of(self, payout_id: str) -> str:
        sql = "SELECT transfer_id FROM payouts WHERE id = $1"
        return str(await self.world.owner.fetchval(sql, UUID(payout_id)))

    async def status(self, payout_id: str) -> str:
        return str(await self.world.owner.fetchval("SELECT status FROM payouts WHERE id = $1", UUID(payout_id)))

    async def available(self, creator: str) -> int:
        return (await balances.load(creator)).available_tokens

    async def earnings(self, creator: str) -> int:
        return (await balances.load(creator)).earnings_tokens

    async def tell(self) -> None:
        """Deliver what was not yet."""
        for event in [one for one in self.world.stripe.events if one["id"] not in self._told]:
            await self.world.receive(event)
            self._told.add(event["id"])
