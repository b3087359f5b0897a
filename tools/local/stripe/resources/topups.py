"""Topups: money that the platform adds to its balance from its own bank account."""

from __future__ import annotations

from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, PAGE
from tools.local.stripe.resources import balance
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json


def top_up(account: Account, cents: int, currency: str) -> Json:
    """Add so many cents, which are available at once."""
    made = _make(account, cents, currency)
    account.announce("topup.created", made)
    made |= {"balance_transaction": balance.record(account, made, "topup", cents)["id"], "status": "succeeded"}
    account.announce("topup.succeeded", made)
    return made


def plant(account: Account, transaction_id: str, cents: int) -> Json:
    """So many cents of long ago, as a balance transaction of this id: no event tells of it. The one that is there, if
    there is one."""
    if found := account.store.tables["balance_transaction"].get(transaction_id):
        return found
    made = _make(account, cents, "usd")
    booked = balance.record(account, made, "topup", cents)
    account.rename(booked, transaction_id)
    made |= {"balance_transaction": transaction_id, "status": "succeeded"}
    return booked


def _make(account: Account, cents: int, currency: str) -> Json:
    return account.make(
        "topup",
        amount=cents,
        balance_transaction=None,
        currency=currency,
        description=None,
        expected_availability_date=account.now(),
        failure_code=None,
        failure_message=None,
        metadata={},
        source=None,
        statement_descriptor=None,
        status="pending",
        transfer_group=None,
    )


def retrieve(account: Account, call: Call) -> Json:
    return account.get("topup", call.id)


def list_(account: Account, call: Call) -> Json:
    return page(account.all("topup"), call.params, call.path)


ROUTES: Final = (
    Route("GET", "/v1/topups", list_, "topup", PAGE | CREATED, is_list=True),
    Route("GET", "/v1/topups/{id}", retrieve, "topup"),
)
