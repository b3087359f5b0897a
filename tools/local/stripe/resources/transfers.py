"""Transfers: money of the platform's available balance that goes to a connected account."""

from __future__ import annotations

from typing import Final

from tools.local.stripe.account import Account, random_letters
from tools.local.stripe.errors import invalid, missing, refused
from tools.local.stripe.listing import page, whole
from tools.local.stripe.params import CREATED, METADATA, PAGE
from tools.local.stripe.resources import balance
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

_PAYMENT_LETTERS: Final = 24


def create(account: Account, call: Call) -> Json:
    params = call.params
    amount, currency, destination = params.positive("amount"), params.currency(), params.required_text("destination")
    if amount is None:
        raise invalid("Missing required param: amount.", param="amount", code="parameter_missing")
    metadata, description, group = params.metadata(), params.text("description"), params.text("transfer_group")
    _check_destination(account, destination)
    if amount > balance.cents(account, "available")[currency]:
        raise refused("You have insufficient available funds in your Stripe account.", code="balance_insufficient")
    made = account.make(
        "transfer",
        amount=amount,
        amount_reversed=0,
        balance_transaction=None,
        currency=currency,
        description=description,
        destination=destination,
        destination_payment=f"py_{random_letters(_PAYMENT_LETTERS)}",
        metadata=metadata,
        reversals={},
        reversed=False,
        source_transaction=None,
        source_type="card",
        transfer_group=group,
    )
    made["reversals"] = whole([], reversals_url(made))
    made["balance_transaction"] = balance.record(account, made, "transfer", -amount)["id"]
    account.announce("transfer.created", made)
    return made


def reversals_url(transfer: Json) -> str:
    return f"/v1/transfers/{transfer['id']}/reversals"


def _check_destination(account: Account, account_id: str) -> None:
    connected = account.store.tables["account"].get(account_id)
    if connected is None:
        raise missing("destination", account_id, param="destination", status=400)
    if connected["capabilities"].get("transfers") != "active":
        raise refused(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
            "crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
        )


def update(account: Account, call: Call) -> Json:
    params = call.params
    changed = account.get("transfer", call.id, param="transfer")
    changes: Json = {"metadata": params.metadata(changed["metadata"])}
    if "description" in params.given:
        changes["description"] = params.text("description")
    changed |= changes
    account.changed(changed)
    account.announce("transfer.updated", changed)
    return changed


def retrieve(account: Account, call: Call) -> Json:
    return account.get("transfer", call.id, param="transfer")


def list_(account: Account, call: Call) -> Json:
    return page(account.all("transfer"), call.params, call.path, same=("destination", "transfer_group"))


_CHANGEABLE: Final = METADATA | {"description"}
_CREATE: Final = _CHANGEABLE | {"amount", "currency", "destination", "transfer_group"}
_FILTERS: Final = PAGE | CREATED | {"destination", "transfer_group"}
ROUTES: Final = (
    Route("POST", "/v1/transfers", create, "transfer", _CREATE),
    Route("GET", "/v1/transfers", list_, "transfer", _FILTERS, is_list=True),
    Route("GET", "/v1/transfers/{id}", retrieve, "transfer"),
    Route("POST", "/v1/transfers/{id}", update, "transfer", _CHANGEABLE),
)
