"""TransferReversals: transferred money that comes back, never more than is left of the transfer."""

from __future__ import annotations

import copy
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import in_dollars, missing, refused
from tools.local.stripe.listing import page, whole
from tools.local.stripe.params import METADATA, PAGE
from tools.local.stripe.resources import balance, transfers
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json


def reverse(
    account: Account, transfer_id: str, amount: int | None = None, *, metadata: dict[str, str] | None = None
) -> Json:
    """Take `amount` cents of the transfer back, or all that is left. That the destination has it, we assume."""
    transfer = account.get("transfer", transfer_id, param="transfer")
    left = transfer["amount"] - transfer["amount_reversed"]
    cents = left if amount is None else amount
    if not left:
        raise refused(f"Transfer {transfer_id} is already fully reversed.", param="id")
    if cents > left:
        wanted, most = in_dollars(cents), in_dollars(left)
        message = f"Reversal amount ({wanted}) is greater than unreversed amount on transfer ({most})"
        raise refused(message, param="amount")
    made = account.make(
        "transfer_reversal",
        amount=cents,
        balance_transaction=None,
        currency=transfer["currency"],
        destination_payment_refund=None,
        metadata=metadata or {},
        source_refund=None,
        transfer=transfer_id,
    )
    del made["livemode"]  # reversals have none
    moved = balance.record(account, made, "transfer_refund", cents, category="transfer_reversal")
    made["balance_transaction"] = moved["id"]
    transfer["amount_reversed"] += cents
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"] = whole(copy.deepcopy(_of(account, transfer)), transfers.reversals_url(transfer))
    account.changed(transfer)
    account.announce("transfer.reversed", transfer)
    return made


def _of(account: Account, transfer: Json) -> list[Json]:
    return [reversal for reversal in account.all("transfer_reversal") if reversal["transfer"] == transfer["id"]]


def create(account: Account, call: Call) -> Json:
    params = call.params
    return reverse(account, call.id, params.positive("amount"), metadata=params.metadata())


def retrieve(account: Account, call: Call) -> Json:
    transfer_id, reversal_id = call.ids
    found = account.get("transfer_reversal", reversal_id)
    if found["transfer"] != transfer_id:
        raise missing("transfer_reversal", reversal_id)
    return found


def list_(account: Account, call: Call) -> Json:
    return page(_of(account, account.get("transfer", call.id)), call.params, call.path)


_ALL: Final = "/v1/transfers/{id}/reversals"
ROUTES: Final = (
    Route("POST", _ALL, create, "transfer_reversal", METADATA | {"amount"}),
    Route("GET", _ALL, list_, "transfer_reversal", PAGE, is_list=True),
    Route("GET", f"{_ALL}/{{id}}", retrieve, "transfer_reversal"),
)
