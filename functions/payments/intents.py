"""Stripe, as far as money comes in: payments, and what refunds and disputes take back of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from functions.payments.movements import Movement, Payment
from functions.payments.provider import NOT_FOUND, PAGE, asked, every, library
from shared.settings import settings


@dataclass(frozen=True, slots=True)
class Intent:
    """A payment that the client may now confirm."""

    id: str
    client_secret: str


async def create_intent(*, purchase_id: str, attempt: int, cents: int, currency: str) -> Intent:
    """Ask for the payment of a purchase: for the same one, however often it is asked under the same attempt.

    Raise ProviderFailed or PaymentProviderUnavailable; then it may exist all the same.
    """
    key = f"purchase:{purchase_id}" if attempt == 1 else f"purchase:{purchase_id}:{attempt}"
    async with asked() as client:
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": cents,
                "currency": currency,
                "automatic_payment_methods": {"enabled": True},
                "capture_method": "automatic",  # so that a payment that succeeded has its balance transaction
                "metadata": {"purchase_id": purchase_id, "stage": settings().stage},
            },
            {"idempotency_key": key},
        )
    return Intent(intent.id, intent.client_secret or "")


async def find_intent(intent_id: str) -> Intent:
    """A payment that there is already. Raise ProviderFailed or PaymentProviderUnavailable."""
    async with asked() as client:
        intent = await client.v1.payment_intents.retrieve_async(intent_id)
    return Intent(intent.id, intent.client_secret or "")


async def find_payment(intent_id: str) -> Payment | None:
    """What there is of a payment, all of it; None for one that Stripe does not know, or that is not a purchase of ours.

    Raise ProviderFailed or PaymentProviderUnavailable.
    """
    async with asked() as client:
        try:
            expanded: Any = {"expand": ["latest_charge.balance_transaction"]}
            intent = (await client.v1.payment_intents.retrieve_async(intent_id, expanded)).to_dict()
        except library().InvalidRequestError as error:
            if error.http_status == NOT_FOUND:
                return None
            raise
        metadata = intent["metadata"]
        if "purchase_id" not in metadata:
            return None
        of_intent: Any = {"payment_intent": intent_id, "limit": PAGE}
        # One after the other: of two at once, one would run on after the other had failed.
        refunds = await every(client.v1.refunds.list_async, of_intent)
        disputes = await every(client.v1.disputes.list_async, of_intent)
    return Payment(
        id=intent["id"],
        purchase_id=metadata["purchase_id"],
        stage=metadata.get("stage", ""),
        amount_cents=intent["amount"],
        currency=intent["currency"],
        livemode=intent["livemode"],
        status=_status(intent),
        movements=(*_of_charge(intent.get("latest_charge")), *_of_refunds(refunds), *_of_disputes(disputes)),
    )


def _status(intent: dict[str, Any]) -> str:
    if intent["status"] == "succeeded":
        return "paid"
    return "failed" if intent["status"] == "canceled" or intent.get("last_payment_error") else "pending"


def _of_charge(charge: dict[str, Any] | None) -> list[Movement]:
    booked = charge["balance_transaction"] if charge else None
    return [Movement(booked["id"], "purchase", booked["amount"], booked["fee"])] if booked else []


def _of_refunds(refunds: list[dict[str, Any]]) -> list[Movement]:
    """A refund takes money when it has a balance transaction; one that failed brings it back with another."""
    found = []
    for refund in refunds:
        if taken := refund.get("balance_transaction"):
            found.append(Movement(taken, "refund", -refund["amount"], 0))
        if brought_back := refund.get("failure_balance_transaction"):
            found.append(Movement(brought_back, "refund_reversed", refund["amount"], 0))
    return found


def _of_disputes(disputes: list[dict[str, Any]]) -> list[Movement]:
    return [
        Movement(
            booked["id"], "dispute" if booked["amount"] < 0 else "dispute_reversed", booked["amount"], booked["fee"]
        )
        for dispute in disputes
        for booked in dispute["balance_transactions"]
    ]
