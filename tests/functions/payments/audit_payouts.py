"""What has to hold of payouts, whatever happened: a plain comparison of ours with what Stripe has."""

from __future__ import annotations

from typing import Any

import asyncpg

from functions.payments.ledger import House
from tools.local.stripe.server import FakeStripe

_TRANSIT = """
    SELECT 'in transit of ' || a.user_id || ' are ' || a.balance || ' tokens, not ' || coalesce(o.tokens, 0) AS broken
      FROM ledger_accounts a
      LEFT JOIN (SELECT creator_id, sum(tokens) AS tokens FROM payouts WHERE status IN ('reserved', 'submitted')
                  GROUP BY creator_id) o ON o.creator_id = a.user_id
     WHERE a.kind = 'payout_transit' AND a.balance <> coalesce(o.tokens, 0)
"""
_MOVEMENTS = """
    SELECT 'payout ' || p.id || ' says ' || p.net_cents || ' cents, its movements ' || m.cents AS broken
      FROM payouts p CROSS JOIN LATERAL (
           SELECT coalesce(-sum(cents), 0) AS cents FROM payout_movements WHERE payout_id = p.id
      ) m
     WHERE p.net_cents <> m.cents
"""
_STATES = """
    SELECT 'payout ' || id || ' is ' || status || ' with ' || redeemed_tokens || ' tokens paid' AS broken FROM payouts
     WHERE CASE status WHEN 'paid' THEN redeemed_tokens = 0 ELSE redeemed_tokens <> 0 END
"""
_TOTALS = """
    SELECT coalesce((SELECT sum(redeemed_tokens) FROM payouts), 0)::bigint AS redeemed_tokens,
           coalesce((SELECT sum(amount) FROM ledger_postings WHERE account_id = $1), 0)::bigint AS booked_tokens,
           coalesce((SELECT sum(net_cents) FROM payouts), 0)::bigint AS net_cents,
           coalesce((SELECT sum(amount) FROM ledger_postings WHERE account_id = $2), 0)::bigint AS booked_cents
"""


async def audit_payouts(connection: asyncpg.Connection[Any], stripe: FakeStripe) -> list[str]:
    """What does not hold, in words; nothing, when all does."""
    broken = [row["broken"] for sql in (_TRANSIT, _MOVEMENTS, _STATES) for row in await connection.fetch(sql)]
    totals = await connection.fetchrow(_TOTALS, int(House.REDEEMED), int(House.CREATOR_PAYOUTS))
    assert totals is not None
    if totals["redeemed_tokens"] != totals["booked_tokens"]:
        broken.append(f"{totals['booked_tokens']} tokens are booked as redeemed, {totals['redeemed_tokens']} are")
    if totals["net_cents"] != totals["booked_cents"]:
        broken.append(f"{totals['booked_cents']} cents are booked as paid out, {totals['net_cents']} are")
    for payout in await connection.fetch("SELECT id::text, status, amount_cents, net_cents FROM payouts"):
        broken += _against_stripe(payout, stripe)
    return broken


def _against_stripe(payout: asyncpg.Record, stripe: FakeStripe) -> list[str]:
    """A payout that is over is what Stripe has of it: sent once at the most, and never while it counts as failed."""
    ours = {"payout_id": payout["id"], "stage": "local"}
    sent = [
        one
        for one in stripe.transfers.values()
        if one["transfer_group"] == payout["id"] and ours | one["metadata"] == ours
    ]
    cents = sum(one["amount"] - one["amount_reversed"] for one in sent)
    name = f"payout {payout['id']}, {payout['status']},"
    broken = [f"{name} was sent {len(sent)} times"] if len(sent) > 1 else []
    if payout["status"] in {"paid", "failed", "reversed"} and cents != payout["net_cents"]:
        broken.append(f"{name} has {payout['net_cents']} cents, at Stripe {cents}")
    if payout["status"] == "paid" and not sent:
        broken.append(f"{name} was never sent")
    return broken
