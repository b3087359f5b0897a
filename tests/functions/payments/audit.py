"""The books, audited: whatever happened, these hold. A plain recomputation, which trusts no trigger and no balance."""

from __future__ import annotations

from typing import Any

import asyncpg

from functions.payments.ledger import House, Position, Returned
from tests.functions.payments.audit_payouts import audit_payouts
from tools.local.stripe.server import FakeStripe

_SUMS = """
    SELECT 'transfer ' || p.transfer_id || ' sums to ' || sum(p.amount) || ' ' || a.unit AS broken
      FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id
     GROUP BY p.transfer_id, a.unit HAVING sum(p.amount) <> 0
"""
_BALANCES = """
    SELECT a.kind || ' of ' || a.user_id || ' is ' || a.balance || ', not ' || coalesce(sum(p.amount), 0) AS broken
      FROM ledger_accounts a LEFT JOIN ledger_postings p ON p.account_id = a.id
     WHERE a.user_id IS NOT NULL GROUP BY a.id HAVING a.balance IS DISTINCT FROM coalesce(sum(p.amount), 0)
"""
_SIGNS = """
    SELECT a.kind || ' of ' || a.user_id || ' sums to ' || sum(p.amount) AS broken
      FROM ledger_accounts a JOIN ledger_postings p ON p.account_id = a.id
     WHERE a.user_id IS NOT NULL GROUP BY a.id
    HAVING CASE WHEN a.kind = 'owed' THEN sum(p.amount) > 0 ELSE sum(p.amount) < 0 END
"""
_BOTH = """
    SELECT 'both a wallet and a debt: ' || w.user_id AS broken
      FROM ledger_accounts w JOIN ledger_accounts o ON o.user_id = w.user_id AND o.kind = 'owed'
     WHERE w.kind = 'wallet' AND w.balance > 0 AND o.balance < 0
"""
_CHARGES = """
    SELECT 'charge ' || c.id || ' is not what its transfer says' AS broken
      FROM charges c
     WHERE c.fee_tokens <> c.tokens * 20 / 100
        OR (SELECT sum(p.amount) FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id
             WHERE p.transfer_id = c.transfer_id AND a.user_id = c.payer_id) IS DISTINCT FROM -c.tokens::numeric
        OR (SELECT sum(p.amount) FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.account_id
             WHERE p.transfer_id = c.transfer_id AND a.user_id = c.creator_id)
           IS DISTINCT FROM (c.tokens - c.fee_tokens)::numeric
"""
_EMPTY = """
    SELECT 'transfer ' || t.id || ' has no postings' AS broken FROM ledger_transfers t
     WHERE NOT EXISTS (SELECT FROM ledger_postings p WHERE p.transfer_id = t.id)
"""


async def audit(url: str, stripe: FakeStripe) -> list[str]:
    """What does not hold, in words; nothing, when all does. `url` is the owner's: it reads every table."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        broken: list[str] = []
        for sql in (_SUMS, _BALANCES, _SIGNS, _BOTH, _CHARGES, _EMPTY):
            broken += [row["broken"] for row in await connection.fetch(sql)]
        broken += await audit_payouts(connection, stripe)
        return [*broken, *await _against_stripe(connection, stripe), *await _losses(connection)]
    finally:
        await connection.close(timeout=5)


async def _against_stripe(connection: asyncpg.Connection[Any], stripe: FakeStripe) -> list[str]:
    """Tokens issued for money are those of payments that succeeded, less what was taken back; `stripe` is Stripe's."""
    broken = []
    booked = await _balance(connection, House.STRIPE)
    if booked != stripe.balance_cents:
        broken.append(f"the ledger has {booked} cents at Stripe, Stripe has {stripe.balance_cents}")
    purchases = {str(row["id"]): row for row in await connection.fetch("SELECT * FROM purchases")}
    issued = 0
    for intent in stripe.payment_intents.values():
        purchase = purchases.get(intent["metadata"].get("purchase_id", ""))
        if purchase is not None and intent["status"] == "succeeded":
            returned = _returned_cents(stripe, intent)
            issued += purchase["tokens"] - Returned(purchase["tokens"], purchase["price_cents"], returned).due_tokens
    posted = await connection.fetchval(
        """SELECT coalesce(-sum(p.amount), 0)::bigint FROM ledger_postings p
             JOIN ledger_transfers t ON t.id = p.transfer_id WHERE p.account_id = $1 AND t.kind <> 'grant'""",
        int(House.ISSUED),
    )
    if posted != issued:
        broken.append(f"{posted} tokens are issued, Stripe was paid for {issued}")
    return broken


def _returned_cents(stripe: FakeStripe, intent: dict[str, Any]) -> int:
    """What refunds and disputes have taken of a payment, as Stripe has it."""
    refunds = [one for one in stripe.refunds.values() if one["payment_intent"] == intent["id"]]
    disputes = [one for one in stripe.disputes.values() if one["payment_intent"] == intent["id"]]
    taken = sum(one["amount"] for one in refunds if one["status"] != "failed")
    return int(taken - sum(moved["amount"] for one in disputes for moved in one["balance_transactions"]))


async def _losses(connection: asyncpg.Connection[Any]) -> list[str]:
    """`loss` is what was paid for the tokens that are owed, and what we owe for tokens is the rest of what was paid."""
    rows = await connection.fetch(
        """SELECT p.user_id, p.tokens, p.price_cents, p.returned_cents,
                  (SELECT -a.balance FROM ledger_accounts a WHERE a.user_id = p.user_id AND a.kind = 'owed') AS owed
             FROM purchases p WHERE p.returned_cents > 0 ORDER BY p.created_at, p.id"""
    )
    by_user: dict[str, tuple[int, list[Returned]]] = {}
    for row in rows:
        _, returned = by_user.setdefault(str(row["user_id"]), (row["owed"] or 0, []))
        returned.append(Returned(row["tokens"], row["price_cents"], row["returned_cents"]))
    expected = sum(Position(-owed, returned).lost_cents for owed, returned in by_user.values())
    booked = await _balance(connection, House.LOSS)
    return [] if booked == expected else [f"{booked} cents are booked as lost, {expected} are"]


async def _balance(connection: asyncpg.Connection[Any], account: House) -> int:
    sql = "SELECT coalesce(sum(amount), 0)::bigint FROM ledger_postings WHERE account_id = $1"
    return int(await connection.fetchval(sql, int(account)))
