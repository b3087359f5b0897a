"""PaymentIntents: from requires_payment_method to succeeded, or canceled."""

from __future__ import annotations

import copy
from typing import Final

from tools.local.stripe.account import Account, random_letters
from tools.local.stripe.cards import card_of, payment_method
from tools.local.stripe.errors import StripeRefused, invalid, refused
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, METADATA, PAGE
from tools.local.stripe.resources import charges
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

_MIN_CENTS: Final = 50
_MAX_CENTS: Final = 99_999_999
_OPEN: Final = ("requires_payment_method", "requires_confirmation")
_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
_CAPTURES: Final = ("automatic", "automatic_async")  # here the balance transaction is there at once in both
_PLAIN: Final = ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix")


def create(account: Account, call: Call) -> Json:
    params = call.params
    amount = _checked(params.integer("amount"))
    currency = params.currency()
    metadata, automatic = params.metadata(), params.mapping("automatic_payment_methods")
    is_confirmed = params.boolean("confirm", default=False)
    capture_method = params.text("capture_method") or "automatic_async"
    if capture_method not in _CAPTURES:
        raise invalid(f"Not supported here: capture_method {capture_method}", param="capture_method")
    method = payment_method(account, name) if (name := params.text("payment_method")) else None
    if is_confirmed and method is None:
        raise refused("You must provide a payment_method to confirm with.", code="parameter_missing")
    intent = account.make(
        "payment_intent",
        **{field: params.text(field) for field in (*_PLAIN, "transfer_group")},
        amount=amount,
        amount_capturable=0,
        amount_received=0,
        application=None,
        application_fee_amount=None,
        automatic_payment_methods={
            "allow_redirects": automatic.get("allow_redirects", "always"),
            "enabled": automatic.get("enabled", "true") == "true",
        },
        canceled_at=None,
        cancellation_reason=None,
        capture_method=capture_method,
        client_secret=None,
        confirmation_method="automatic",
        currency=currency,
        customer=None,
        last_payment_error=None,
        latest_charge=None,
        metadata=metadata,
        next_action=None,
        on_behalf_of=None,
        payment_method=method["id"] if method else None,
        payment_method_options={},
        payment_method_types=["card"],
        processing=None,
        review=None,
        setup_future_usage=None,
        shipping=None,
        source=None,
        status="requires_confirmation" if method else "requires_payment_method",
        transfer_data=None,
    )
    intent["client_secret"] = f"{intent['id']}_secret_{random_letters(25)}"
    account.announce("payment_intent.created", intent)
    return confirm(account, intent["id"], None) if is_confirmed else intent


def confirm(account: Account, intent_id: str, method_name: str | None) -> Json:
    """Charge it. Raise the refusal of a card, after which it requires another payment method."""
    intent = account.get("payment_intent", intent_id, param="intent")
    if intent["status"] not in _OPEN:
        reason = "has already succeeded" if intent["status"] == "succeeded" else f"is {intent['status']}"
        raise _unexpected(intent, f"You cannot confirm this PaymentIntent because it {reason}.")
    name = method_name or intent["payment_method"]
    if name is None:
        raise _unexpected(intent, "You cannot confirm this PaymentIntent because it's missing a payment method.")
    method = payment_method(account, name)
    card = card_of(account, method["id"])
    if account.declines() or card.is_declined:
        raise _decline(account, intent, method)
    charge = charges.collect(account, intent, method)
    intent |= {
        "amount_received": intent["amount"],
        "last_payment_error": None,
        "latest_charge": charge["id"],
        "payment_method": method["id"],
        "status": "succeeded",
    }
    account.changed(intent)
    account.announce("payment_intent.succeeded", intent)
    if card.is_disputed:
        account.later("dispute", charge["id"])
    return intent


def _decline(account: Account, intent: Json, method: Json) -> StripeRefused:
    charge = charges.decline(account, intent, method)
    error = {"type": "card_error", **charges.DECLINE, "charge": charge["id"]}
    intent |= {
        "last_payment_error": {**error, "payment_method": copy.deepcopy(method)},
        "latest_charge": charge["id"],
        "payment_method": None,
        "status": "requires_payment_method",
    }
    account.changed(intent)
    account.announce("payment_intent.payment_failed", intent)
    fields: Json = {name: error[name] for name in ("code", "decline_code", "charge")}
    fields |= {"payment_intent": copy.deepcopy(intent), "payment_method": copy.deepcopy(method)}
    return StripeRefused(402, "card_error", charges.DECLINE["message"], **fields)


def cancel(account: Account, intent_id: str, reason: str | None = None) -> Json:
    intent = account.get("payment_intent", intent_id, param="intent")
    if intent["status"] not in _OPEN:
        status = intent["status"]
        raise _unexpected(intent, f"You cannot cancel this PaymentIntent because it has a status of {status}.")
    intent |= {"status": "canceled", "canceled_at": account.now(), "cancellation_reason": reason}
    account.changed(intent)
    account.announce("payment_intent.canceled", intent)
    return intent


def update(account: Account, call: Call) -> Json:
    params = call.params
    intent = account.get("payment_intent", call.id, param="intent")
    changes: Json = {"metadata": params.metadata(intent["metadata"])}
    changes |= {field: params.text(field) for field in (*_PLAIN, "transfer_group") if field in params.given}
    if "amount" in params.given:
        if intent["status"] not in _OPEN:
            raise _unexpected(intent, f"This PaymentIntent's amount could not be updated: it is {intent['status']}.")
        changes["amount"] = _checked(params.integer("amount"))
    intent |= changes
    account.changed(intent)
    return intent


def _checked(amount: int | None) -> int:
    if amount is None:
        raise invalid("Missing required param: amount.", param="amount", code="parameter_missing")
    if amount < _MIN_CENTS:
        raise invalid("Amount must be at least $0.50 usd", param="amount", code="amount_too_small")
    if amount > _MAX_CENTS:
        raise invalid("Amount must be no more than $999,999.99", param="amount", code="amount_too_large")
    return amount


def _unexpected(intent: Json, message: str) -> StripeRefused:
    return refused(message, code="payment_intent_unexpected_state", payment_intent=copy.deepcopy(intent))


def retrieve(account: Account, call: Call) -> Json:
    return account.get("payment_intent", call.id, param="intent")


def list_(account: Account, call: Call) -> Json:
    return page(account.all("payment_intent"), call.params, call.path)


def _confirm(account: Account, call: Call) -> Json:
    return confirm(account, call.id, call.params.text("payment_method"))


def _cancel(account: Account, call: Call) -> Json:
    return cancel(account, call.id, call.params.one_of("cancellation_reason", _REASONS))


_CHANGEABLE: Final = METADATA | {"amount", "transfer_group", *_PLAIN}
_AUTOMATIC: Final = frozenset({"automatic_payment_methods[enabled]", "automatic_payment_methods[allow_redirects]"})
_CREATE: Final = _CHANGEABLE | _AUTOMATIC | {"capture_method", "currency", "confirm", "payment_method", "return_url"}
ROUTES: Final = (
    Route("POST", "/v1/payment_intents", create, "payment_intent", _CREATE),
    Route("GET", "/v1/payment_intents", list_, "payment_intent", PAGE | CREATED, is_list=True),
    Route("GET", "/v1/payment_intents/{id}", retrieve, "payment_intent"),
    Route("POST", "/v1/payment_intents/{id}", update, "payment_intent", _CHANGEABLE),
    Route(
        "POST",
        "/v1/payment_intents/{id}/confirm",
        _confirm,
        "payment_intent",
        frozenset({"payment_method", "return_url"}),
    ),
    Route("POST", "/v1/payment_intents/{id}/cancel", _cancel, "payment_intent", frozenset({"cancellation_reason"})),
)
