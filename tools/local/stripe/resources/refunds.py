"""Refunds: never more than is left of the charge, and some that fail after they succeeded."""

from __future__ import annotations

from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.cards import card_of
from tools.local.stripe.errors import in_dollars, invalid, refused
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, METADATA, PAGE
from tools.local.stripe.resources import balance, charges
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

_REASONS: Final = ("duplicate", "fraudulent", "requested_by_customer")


def create(account: Account, call: Call) -> Json:
    params = call.params
    amount, metadata, reason = params.positive("amount"), params.metadata(), params.one_of("reason", _REASONS)
    intent_id, charge_id = params.text("payment_intent"), params.text("charge")
    if bool(intent_id) == bool(charge_id):
        raise invalid("One of the following params should be provided: payment_intent or charge.", param="charge")
    charge = charge_of(account, intent_id) if intent_id else account.get("charge", str(charge_id), param="charge")
    return refund(account, charge, amount, metadata=metadata, reason=reason)


def charge_of(account: Account, intent_id: str) -> Json:
    """The successful charge of a PaymentIntent. Raise Stripe's refusal when it has none."""
    intent = account.get("payment_intent", intent_id, param="payment_intent")
    if intent["status"] != "succeeded":
        raise refused(
            f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
            param="payment_intent",
        )
    return account.get("charge", intent["latest_charge"])


def refund(
    account: Account,
    charge: Json,
    amount: int | None = None,
    *,
    metadata: dict[str, str] | None = None,
    reason: str | None = None,
    will_fail: bool = False,
) -> Json:
    """Give `amount` cents back, or all that is left."""
    left = charge["amount"] - charge["amount_refunded"]
    cents = left if amount is None else amount
    _check_refundable(charge, cents, left)
    made = account.make(
        "refund",
        amount=cents,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details={"type": "card", "card": {"type": "refund"}},
        metadata=metadata or {},
        payment_intent=charge["payment_intent"],
        reason=reason,
        receipt_number=None,
        source_transfer_reversal=None,
        status="succeeded",
        transfer_reversal=None,
    )
    del made["livemode"]  # refunds have none
    made["balance_transaction"] = balance.record(account, made, "refund", -cents)["id"]
    account.announce("refund.created", made)
    charges.change_refunded(account, charge, cents)
    account.announce("charge.refunded", charge)
    if will_fail or card_of(account, charge["payment_method"]).fails_refunds:
        account.later("fail_refund", made["id"])
    return made


def _check_refundable(charge: Json, cents: int, left: int) -> None:
    if charge["status"] != "succeeded":
        raise refused(f"Charge {charge['id']} was not successful, so it cannot be refunded.")
    if charge["disputed"]:
        raise refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if not left:
        raise refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if cents > left:
        most, wanted = in_dollars(left), in_dollars(cents)
        message = f"Refund amount ({wanted}) is greater than unrefunded amount on charge ({most})"
        raise refused(message, param="amount")  # without a code: Stripe gives none here


def fail(account: Account, refund_id: str) -> Json:
    """What the bank of the customer does some days later: the money comes back."""
    failing = account.get("refund", refund_id)
    if failing["status"] != "succeeded":
        raise refused(f"Refund {refund_id} is {failing['status']}.")
    transaction = balance.record(account, failing, "refund_failure", failing["amount"])
    failing |= {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": transaction["id"],
    }
    account.changed(failing)
    charges.change_refunded(account, account.get("charge", failing["charge"]), -failing["amount"])
    account.announce("refund.updated", failing)
    account.announce("refund.failed", failing)
    return failing


def update(account: Account, call: Call) -> Json:
    changed = account.get("refund", call.id)
    changed["metadata"] = call.params.metadata(changed["metadata"])
    account.changed(changed)
    account.announce("refund.updated", changed)
    return changed


def retrieve(account: Account, call: Call) -> Json:
    return account.get("refund", call.id)


def list_(account: Account, call: Call) -> Json:
    return page(account.all("refund"), call.params, call.path, same=("payment_intent", "charge"))


_CREATE: Final = METADATA | {"payment_intent", "charge", "amount", "reason"}
_FILTERS: Final = PAGE | CREATED | {"payment_intent", "charge"}
ROUTES: Final = (
    Route("POST", "/v1/refunds", create, "refund", _CREATE),
    Route("GET", "/v1/refunds", list_, "refund", _FILTERS, is_list=True),
    Route("GET", "/v1/refunds/{id}", retrieve, "refund"),
    Route("POST", "/v1/refunds/{id}", update, "refund", METADATA),
)
