"""Disputes: money taken back by the customer's bank, and given back when the evidence wins."""

from __future__ import annotations

import copy
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import refused
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, METADATA, PAGE
from tools.local.stripe.resources import balance
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

FEE_CENTS: Final = 1500  # kept by Stripe whoever wins
_WINNING: Final = "winning_evidence"  # Stripe's own words for its test mode
_LOSING: Final = "losing_evidence"
_ANSWER_SECONDS: Final = 9 * 24 * 3600
_EVIDENCE: Final = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal "
    "customer_communication customer_email_address customer_name customer_purchase_ip customer_signature "
    "duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt "
    "refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation "
    "shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number "
    "uncategorized_file uncategorized_text"
).split()


def open_dispute(account: Account, charge_id: str) -> Json:
    """Take back all of the charge that was not refunded, with a fee on top."""
    charge = account.get("charge", charge_id)
    cents = charge["amount"] - charge["amount_refunded"]
    if charge["disputed"] or not cents or charge["status"] != "succeeded":
        raise refused(f"Charge {charge_id} cannot be disputed: it already was, or there is nothing of it to take.")
    dispute = account.make(
        "dispute",
        amount=cents,
        balance_transactions=[],
        charge=charge_id,
        currency=charge["currency"],
        evidence=dict.fromkeys(_EVIDENCE),
        evidence_details={
            "due_by": account.now() + _ANSWER_SECONDS,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        is_charge_refundable=False,
        metadata={},
        payment_intent=charge["payment_intent"],
        payment_method_details={"type": "card", "card": {"brand": "visa", "network_reason_code": "10.4"}},
        reason="fraudulent",
        status="needs_response",
    )
    charge["disputed"] = True
    account.changed(charge)
    account.announce("charge.dispute.created", dispute)
    _move(account, dispute, -cents, fee=FEE_CENTS, category="dispute")
    account.announce("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close(account: Account, dispute_id: str, *, won: bool) -> Json:
    """The bank's decision. Raise Stripe's refusal when it was already made."""
    dispute = account.get("dispute", dispute_id)
    _check_open(dispute)
    dispute["status"] = "won" if won else "lost"
    account.changed(dispute)
    account.announce("charge.dispute.closed", dispute)
    if won:
        _move(account, dispute, dispute["amount"], fee=0, category="dispute_reversal")
        account.announce("charge.dispute.funds_reinstated", dispute)
    return dispute


def update(account: Account, call: Call) -> Json:
    params = call.params
    dispute = account.get("dispute", call.id)
    evidence, is_submitted = params.mapping("evidence"), params.boolean("submit", default=True)
    metadata = params.metadata(dispute["metadata"])
    if evidence:
        _check_open(dispute)
    dispute["metadata"] = metadata
    dispute["evidence"] |= {name: value or None for name, value in evidence.items()}
    dispute["evidence_details"]["has_evidence"] = any(dispute["evidence"].values())
    account.changed(dispute)
    if not (is_submitted and dispute["evidence_details"]["has_evidence"] and evidence):
        account.announce("charge.dispute.updated", dispute)
        return dispute
    dispute["evidence_details"]["submission_count"] += 1
    text = dispute["evidence"]["uncategorized_text"]
    if text in {_WINNING, _LOSING}:
        return close(account, dispute["id"], won=text == _WINNING)
    dispute["status"] = "under_review"
    account.announce("charge.dispute.updated", dispute)
    return dispute


def _move(account: Account, dispute: Json, cents: int, *, fee: int, category: str) -> None:
    moved = balance.record(account, dispute, "adjustment", cents, fee=fee, category=category)
    dispute["balance_transactions"].append(copy.deepcopy(moved))  # whole, not as an id: so it is at Stripe
    account.changed(dispute)


def _check_open(dispute: Json) -> None:
    if dispute["status"] in {"won", "lost"}:
        raise refused(f"This dispute is already closed: it was {dispute['status']}.")


def retrieve(account: Account, call: Call) -> Json:
    return account.get("dispute", call.id)


def list_(account: Account, call: Call) -> Json:
    return page(account.all("dispute"), call.params, call.path, same=("payment_intent", "charge"))


def _close(account: Account, call: Call) -> Json:
    """To close a dispute oneself is to give it up."""
    return close(account, call.id, won=False)


_UPDATE: Final = METADATA | {"submit", *(f"evidence[{name}]" for name in _EVIDENCE)}
_FILTERS: Final = PAGE | CREATED | {"payment_intent", "charge"}
ROUTES: Final = (
    Route("GET", "/v1/disputes", list_, "dispute", _FILTERS, is_list=True),
    Route("GET", "/v1/disputes/{id}", retrieve, "dispute"),
    Route("POST", "/v1/disputes/{id}", update, "dispute", _UPDATE),
    Route("POST", "/v1/disputes/{id}/close", _close, "dispute"),
)
