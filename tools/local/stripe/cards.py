"""Stripe's own test payment methods, whose names decide what becomes of a payment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import missing
from tools.local.stripe.store import Json


@dataclass(frozen=True)
class Card:
    last4: str
    is_declined: bool = False
    is_disputed: bool = False  # a moment after it was charged
    fails_refunds: bool = False  # a moment after they succeeded


_DECLINED: Final = Card("0002", is_declined=True)
_CARDS: Final = {
    "pm_card_visa": Card("4242"),
    "pm_card_chargeDeclined": _DECLINED,
    "pm_card_visa_chargeDeclined": _DECLINED,
    "pm_card_createDispute": Card("0259", is_disputed=True),
    "pm_card_refundFail": Card("5126", fails_refunds=True),
}
_BY_LAST4: Final = {card.last4: card for card in _CARDS.values()}


def payment_method(account: Account, name: str) -> Json:
    """A payment method of that name, or the one made earlier that has this id. Raise Stripe's resource_missing."""
    made = account.store.tables["payment_method"].get(name)
    if made is not None:
        return made
    if name not in _CARDS:
        raise missing("PaymentMethod", name, param="payment_method", status=400)
    card = {
        "brand": "visa",
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "funding": "credit",
        "last4": _CARDS[name].last4,
    }
    return account.make("payment_method", type="card", card=card, customer=None, metadata={}, billing_details={})


def card_of(account: Account, payment_method_id: str) -> Card:
    """What that payment method does."""
    return _BY_LAST4[account.get("payment_method", payment_method_id)["card"]["last4"]]
