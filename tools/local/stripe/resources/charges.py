"""Charges: one for each attempt to collect a PaymentIntent."""

from __future__ import annotations

from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, PAGE
from tools.local.stripe.resources import balance
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

DECLINE: Final = {
    "code": "card_declined",
    "decline_code": "generic_decline",
    "message": "Your card was declined.",
}


def collect(account: Account, payment_intent: Json, payment_method: Json) -> Json:
    """A charge that succeeded, with its money in the balance."""
    charge = _make(account, payment_intent, payment_method, is_paid=True)
    amount = charge["amount"]
    transaction = balance.record(account, charge, "charge", amount, fee=balance.charge_fee(amount), is_held=True)
    charge["balance_transaction"] = transaction["id"]
    account.announce("charge.succeeded", charge)
    return charge


def decline(account: Account, payment_intent: Json, payment_method: Json) -> Json:
    """A charge that the bank refused."""
    charge = _make(account, payment_intent, payment_method, is_paid=False)
    account.announce("charge.failed", charge)
    return charge


def change_refunded(account: Account, charge: Json, cents: int) -> None:
    """Count `cents` more as refunded; less, when a refund failed."""
    charge["amount_refunded"] += cents
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    account.changed(charge)


def _make(account: Account, payment_intent: Json, payment_method: Json, *, is_paid: bool) -> Json:
    amount = payment_intent["amount"]
    return account.make(
        "charge",
        amount=amount,
        amount_captured=amount if is_paid else 0,
        amount_refunded=0,
        application=None,
        application_fee=None,
        application_fee_amount=None,
        balance_transaction=None,
        billing_details={"address": None, "email": None, "name": None, "phone": None},
        captured=is_paid,
        currency=payment_intent["currency"],
        customer=None,
        description=payment_intent["description"],
        disputed=False,
        failure_balance_transaction=None,
        failure_code=None if is_paid else DECLINE["code"],
        failure_message=None if is_paid else DECLINE["message"],
        fraud_details={},
        metadata=dict(payment_intent["metadata"]),
        on_behalf_of=None,
        outcome={
            "network_status": "approved_by_network" if is_paid else "declined_by_network",
            "reason": None if is_paid else DECLINE["decline_code"],
            "risk_level": "normal",
            "seller_message": "Payment complete." if is_paid else "The bank did not return any further details.",
            "type": "authorized" if is_paid else "issuer_declined",
        },
        paid=is_paid,
        payment_intent=payment_intent["id"],
        payment_method=payment_method["id"],
        payment_method_details={"type": "card", "card": dict(payment_method["card"])},
        receipt_email=payment_intent["receipt_email"],
        receipt_number=None,
        receipt_url=None,
        refunded=False,
        review=None,
        shipping=None,
        source_transfer=None,
        statement_descriptor=payment_intent["statement_descriptor"],
        statement_descriptor_suffix=payment_intent["statement_descriptor_suffix"],
        status="succeeded" if is_paid else "failed",
        transfer_data=None,
        transfer_group=payment_intent["transfer_group"],
    )


def retrieve(account: Account, call: Call) -> Json:
    return account.get("charge", call.id)


def list_(account: Account, call: Call) -> Json:
    return page(account.all("charge"), call.params, call.path, same=("payment_intent", "transfer_group"))


def list_refunds(account: Account, call: Call) -> Json:
    """What the `refunds` of an expanded charge name as their url."""
    charge = account.get("charge", call.id)
    of_charge = (refund for refund in account.all("refund") if refund["charge"] == charge["id"])
    return page(of_charge, call.params, call.path)


_FILTERS: Final = PAGE | CREATED | {"payment_intent", "transfer_group"}
ROUTES: Final = (
    Route("GET", "/v1/charges", list_, "charge", _FILTERS, is_list=True),
    Route("GET", "/v1/charges/{id}", retrieve, "charge"),
    Route("GET", "/v1/charges/{id}/refunds", list_refunds, "refund", PAGE, is_list=True),
)
