"""Creators who are paid out, in the world where processes die."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from functions.payments.ledger import House, Kind
from tests.functions.payments.crash.clock import DAY
from tests.functions.payments.crash.doomed import Request
from tests.functions.payments.crash.world import World
from tests.functions.payments.people import Buyer

EARNED: Final = 3000
_OPERATOR: Final = {"authorization": "Bearer cron-local"}
_OPEN: Final = "payouts WHERE status IN ('requested', 'reserved', 'submitted')"
_PAUSES: Final = (0, 0, 600, 600, DAY, 600, 600)
RECONCILE: Final = Request("/payments/reconcile", _OPERATOR, "")


@dataclass(frozen=True)
class Held:
    """What a creator has: tokens that they earned, that are in transit, and that they were paid for."""

    earnings: int
    transit: int
    redeemed: int

    @property
    def total(self) -> int:
        return self.earnings + self.transit + self.redeemed


async def become_creator(world: World, buyer: Buyer, *, account: str | None = "active") -> None:
    """Who has earned EARNED tokens a month ago, and has an account at Stripe, of this status as far as we know."""
    user_id = UUID(buyer.user_id)
    await world.owner.execute("UPDATE users SET is_creator = true, email_verified_at = now() WHERE id = $1", user_id)
    if account is not None:
        world.stripe.plant_account(account_of(buyer))
        sql = "INSERT INTO payout_accounts (user_id, account_id, status) VALUES ($1, $2, $3)"
        await world.owner.execute(sql, user_id, account_of(buyer), account)
    async with world.owner.transaction():
        earnings = await world.owner.fetchval(
            "SELECT account_id FROM lock_ledger_accounts($1, $2)", [Kind.EARNINGS], [user_id]
        )
        await world.owner.execute(
            """WITH made AS (INSERT INTO ledger_transfers (kind, created_at)
                             VALUES ('grant', now() - interval '30 days') RETURNING id, created_at)
               INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
               SELECT made.id, p.id, p.amount, made.created_at
                 FROM made, unnest($1::bigint[], $2::bigint[]) AS p (id, amount)""",
            *([int(House.ISSUED), earnings], [-EARNED, EARNED]),
        )


async def held(world: World, buyer: Buyer) -> Held:
    user_id = UUID(buyer.user_id)
    rows = await world.owner.fetch("SELECT kind, balance FROM ledger_accounts WHERE user_id = $1", user_id)
    balances = {row["kind"]: row["balance"] for row in rows}
    redeemed = await world.owner.fetchval(
        "SELECT coalesce(sum(redeemed_tokens), 0) FROM payouts WHERE creator_id = $1", user_id
    )
    return Held(balances.get("earnings", 0), balances.get("payout_transit", 0), redeemed)


async def payouts_of(world: World, buyer: Buyer) -> list[Any]:
    """Their payouts, the oldest first."""
    sql = "SELECT *, id::text AS name FROM payouts WHERE creator_id = $1 ORDER BY created_at"
    return list(await world.owner.fetch(sql, UUID(buyer.user_id)))


def transfers_of(world: World, payouts: list[Any]) -> list[dict[str, Any]]:
    """What Stripe has sent of them."""
    names = {one["name"] for one in payouts}
    return [one for one in world.stripe.transfers.values() if one["transfer_group"] in names]


def account_of(buyer: Buyer) -> str:
    """Long enough to be known as an id in the labels."""
    return f"acct_of_a_creator_called_{buyer.username}"


def events_of(world: World, buyer: Buyer, payouts: list[Any]) -> list[dict[str, Any]]:
    """Those about these payouts, and about the creator's account, the oldest first."""
    names, account_id = {one["name"] for one in payouts}, account_of(buyer)
    about = [(event, event["data"]["object"]) for event in world.stripe.events]
    return [event for event, one in about if one.get("transfer_group") in names or one["id"] == account_id]


async def reconcile(world: World) -> dict[str, int]:
    """One run, in this process; what it did."""
    answer = await world.http.post(RECONCILE.path, headers=_OPERATOR, timeout=60)
    assert answer.status_code == 200, answer.text
    found = json.loads(answer.text)
    return {name: found[name] for name in ("resumed", "settled", "failed", "drained")}


async def reconcile_all(world: World) -> None:
    """Have it run, now and then, until it finds nothing to do, and nothing is open any more."""
    for pause in _PAUSES:
        await world.clock.passes(pause)
        if not any((await reconcile(world)).values()) and not await world.count(_OPEN):
            return
    raise AssertionError(await world.owner.fetch(f"SELECT * FROM {_OPEN}"))  # noqa: S608
