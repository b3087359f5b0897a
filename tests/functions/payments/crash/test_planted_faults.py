# ruff: noqa: S608 -- SQL put together from constants
"""The audit finds what the database would not have let through: its triggers are dropped, and a fault is planted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import pytest

from functions.payments.ledger import House
from tests.functions.payments.conftest import Audit
from tests.functions.payments.people import Buyer
from tools.local.demo_stripe import FUNDS_CENTS
from tools.local.stripe.server import FakeStripe

_BALANCES: Final = "DROP TRIGGER ledger_balances_are_kept ON ledger_postings;"
_SUMS: Final = "DROP TRIGGER ledger_transfers_sum_to_zero ON ledger_postings;"
_CHANGES: Final = """
    DROP TRIGGER ledger_postings_never_change ON ledger_postings;
    DROP TRIGGER ledger_transfers_never_change ON ledger_transfers;
"""
_SIGNS: Final = "ALTER TABLE ledger_accounts DROP CONSTRAINT nobody_spends_what_they_have_not;"
_FAN: Final = "SELECT id FROM users WHERE username = 'fan'"
_WALLET: Final = f"(SELECT id FROM ledger_accounts WHERE kind = 'wallet' AND user_id = ({_FAN}))"
_LAST: Final = "(SELECT transfer_id FROM charges ORDER BY created_at DESC LIMIT 1)"


def _transfer(kind: str, postings: dict[str, str]) -> str:
    rows = " UNION ALL ".join(f"SELECT {account}::bigint, ({amount})::bigint" for account, amount in postings.items())
    return f"""
        WITH made AS (INSERT INTO ledger_transfers (kind) VALUES ('{kind}') RETURNING id)
        INSERT INTO ledger_postings (transfer_id, account_id, amount)
        SELECT made.id, p.account_id, p.amount FROM made, ({rows}) AS p (account_id, amount)
    """


def _changed(account: str, amount: str) -> str:
    return f"UPDATE ledger_postings SET amount = amount + {amount} WHERE account_id = {account}"


@dataclass(frozen=True)
class Fault:
    """Some SQL, what the audit says of it, and what has to be dropped first; where that is nothing, nothing refuses."""

    sql: str
    finding: str
    guard: str = ""


_FAULTS: Final = {
    "unbalanced transfer": Fault(_transfer("tip", {_WALLET: "7"}), "sums to 7 token", _SUMS),
    "unbalanced in cents": Fault(_transfer("refund", {f"{House.REVENUE:d}": "3"}), "sums to 3 usd", _SUMS),
    "changed amount": Fault(f"{_changed(_WALLET, '1')} AND transfer_id = {_LAST}", "sums to 1 token", _CHANGES),
    "changed transfer": Fault(f"DELETE FROM ledger_postings WHERE transfer_id = {_LAST}", "has no postings", _CHANGES),
    "balance that is not its postings": Fault(
        f"UPDATE ledger_accounts SET balance = balance + 1 WHERE id = {_WALLET}", "wallet of"
    ),
    "posting without its balance": Fault(
        _BALANCES + _transfer("grant", {_WALLET: "5", f"{House.ISSUED:d}": "-5"}), "wallet of"
    ),
    "negative wallet": Fault(
        _transfer("tip", {_WALLET: "-20000", f"{House.FEE:d}": "20000"}), "wallet of {fan} sums to -", _SIGNS
    ),
    "tokens without money": Fault(
        _transfer("purchase", {_WALLET: "100", f"{House.ISSUED:d}": "-100"}), "600 tokens are issued, Stripe was paid"
    ),
    "missing cent": Fault(
        _transfer("refund", {f"{House.STRIPE:d}": "-1", f"{House.STRIPE_FEES:d}": "1"}), "cents at Stripe, Stripe has"
    ),
    "loss of nothing": Fault(
        _transfer("refund", {f"{House.LOSS:d}": "4", f"{House.TOKEN_LIABILITY:d}": "-4"}), "4 cents are booked as lost"
    ),
    "charge that is not its transfer": Fault(
        f"UPDATE charges SET tokens = tokens + 1 WHERE transfer_id = {_LAST}", "is not what its transfer says"
    ),
    "fee that is not a fifth": Fault(
        f"UPDATE charges SET fee_tokens = fee_tokens - 1 WHERE transfer_id = {_LAST}", "is not what its transfer says"
    ),
    "debt beside a wallet": Fault(
        f"""INSERT INTO ledger_accounts (kind, user_id) SELECT 'owed', id FROM ({_FAN}) AS fan ON CONFLICT DO NOTHING;
            UPDATE ledger_accounts SET balance = -1 WHERE kind = 'owed' AND user_id = ({_FAN})""",
        "both a wallet and a debt: {fan}",
    ),
}

_IN_EVERY_RUN: Final = (
    *("unbalanced transfer", "changed amount", "balance that is not its postings", "negative wallet"),
    *("tokens without money", "missing cent"),
)


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(owner_url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


@pytest.fixture
async def used(fan: Buyer, stripe: FakeStripe, books: Audit) -> Buyer:
    """Has bought 500 tokens and spent 40; and the audit has nothing to say."""
    await fan.buy("t500")
    assert (await fan.charge("luna", 40)).status_code == 201
    assert await books() == []
    return fan


@pytest.mark.plants_a_fault
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _IN_EVERY_RUN else pytest.mark.slow) for name in _FAULTS]
)
async def test_audit_finds_a_planted_fault_when_the_triggers_are_dropped(
    used: Buyer, owner: asyncpg.Connection[Any], books: Audit, name: str
) -> None:
    fault = _FAULTS[name]
    if fault.guard:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute(fault.sql)
        assert await books() == [], "it was refused"
        await owner.execute(fault.guard)
    await owner.execute(fault.sql)
    finding = fault.finding.replace("{fan}", used.user_id)
    assert any(finding in found for found in await books()), await books()


@pytest.mark.plants_a_fault
async def test_audit_finds_it_when_stripe_has_money_that_is_not_booked(
    used: Buyer, stripe: FakeStripe, books: Audit
) -> None:
    stripe.webhook_url = None  # the event is lost
    await used.buy("t100")
    assert [found.partition(",")[0] for found in await books()] == [
        f"the ledger has {FUNDS_CENTS + 4339} cents at Stripe",
        "500 tokens are issued",
    ]


@pytest.mark.plants_a_fault
async def test_audit_finds_it_when_stripe_has_given_money_back_that_is_not_booked(
    used: Buyer, stripe: FakeStripe, books: Audit
) -> None:
    bought = await used.buy("t100")
    assert await books() == []
    stripe.webhook_url = None
    stripe.refund(bought["payment_intent"])
    assert "600 tokens are issued, Stripe was paid for 500" in await books()
