"""BalanceTransactions, which are what the money did, and Balance, which is their sum."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, PAGE
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

_FEE_PER_MILLE: Final = 29
_FIXED_FEE_CENTS: Final = 30


def charge_fee(amount: int) -> int:
    """Stripe's fee for a payment, in cents: 2.9 %, rounded half up, and 30 cents."""
    return (amount * _FEE_PER_MILLE + 500) // 1000 + _FIXED_FEE_CENTS


def record(
    account: Account,
    source: Json,
    kind: str,
    amount: int,
    *,
    fee: int = 0,
    category: str | None = None,
    is_held: bool = False,
) -> Json:
    """Move `amount` cents (negative: away) for the source, less a fee. `is_held`: pending at first, as payments are."""
    held_seconds = account.funds_available_after_seconds if is_held else 0
    details = [{"amount": fee, "application": None, "currency": source["currency"], "type": "stripe_fee"}]
    made = account.make(
        "balance_transaction",
        amount=amount,
        available_on=account.now() + held_seconds,
        balance_type="payments",
        currency=source["currency"],
        description=source.get("description"),
        exchange_rate=None,
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=category or kind,
        source=source["id"],
        status="pending" if held_seconds > 0 else "available",
        type=kind,
    )
    del made["livemode"]  # the one object that has none
    return made


def settle(account: Account) -> None:
    """Make available what was pending until now: the clock alone does it, so whoever reads or spends asks first."""
    now = account.now()
    for transaction in account.all("balance_transaction"):
        if transaction["status"] == "pending" and transaction["available_on"] <= now:
            transaction["status"] = "available"
            account.changed(transaction)


def cents(account: Account, status: str) -> Counter[str]:
    """What is `available`, or `pending`, in cents by currency."""
    settle(account)
    by_currency: Counter[str] = Counter()
    for transaction in account.all("balance_transaction"):
        by_currency[transaction["currency"]] += transaction["net"] if transaction["status"] == status else 0
    return by_currency


def retrieve(account: Account, call: Call) -> Json:
    return account.get("balance_transaction", call.id)


def list_(account: Account, call: Call) -> Json:
    return page(account.all("balance_transaction"), call.params, call.path, same=("type", "source", "currency"))


def retrieve_balance(account: Account, _call: Call) -> Json:
    available, pending = _amounts(cents(account, "available")), _amounts(cents(account, "pending"))
    return {"object": "balance", "available": available, "pending": pending, "livemode": account.livemode}


def _amounts(by_currency: Counter[str]) -> list[Json]:
    return [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted((by_currency or Counter({"usd": 0})).items())
    ]


_FILTERS: Final = PAGE | CREATED | {"type", "source", "currency"}
ROUTES: Final = (
    Route("GET", "/v1/balance", retrieve_balance, "balance"),
    Route("GET", "/v1/balance_transactions", list_, "balance_transaction", _FILTERS, is_list=True),
    Route("GET", "/v1/balance_transactions/{id}", retrieve, "balance_transaction"),
)
