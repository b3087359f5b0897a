"""`expand[]=latest_charge.balance_transaction`: ids replaced by what they name."""

from __future__ import annotations

from typing import Any, Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import invalid
from tools.local.stripe.listing import whole
from tools.local.stripe.store import Json

_ANY: Final = "any"
_EXPANDABLE: Final[dict[str, dict[str, str]]] = {
    "payment_intent": {"latest_charge": "charge", "payment_method": "payment_method"},
    "payment_method": {},
    "charge": {"balance_transaction": "balance_transaction", "payment_intent": "payment_intent", "refunds": "refunds"},
    "refunds": {"data": "refund"},
    "refund": {
        "balance_transaction": "balance_transaction",
        "failure_balance_transaction": "balance_transaction",
        "charge": "charge",
        "payment_intent": "payment_intent",
    },
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "balance_transaction": {"source": _ANY},
    "account": {},
    "account_link": {},
    "transfer": {"balance_transaction": "balance_transaction", "destination": "account", "reversals": "reversals"},
    "reversals": {"data": "transfer_reversal"},
    "transfer_reversal": {"balance_transaction": "balance_transaction", "transfer": "transfer"},
    "topup": {"balance_transaction": "balance_transaction"},
    "event": {},
    "balance": {},
}
_MAX_DEPTH: Final = 4


def check(paths: list[str], kind: str, *, is_list: bool) -> None:
    """Raise Stripe's refusal of a path that a `kind`, or a list of them, cannot be expanded along."""
    for path in paths:
        parts = path.split(".")
        if is_list and parts[0] != "data":
            raise invalid(f"This property cannot be expanded ({path}). You may want `data.{path}`.", param="expand")
        if len(parts) > _MAX_DEPTH:
            raise invalid(f"You cannot expand more than {_MAX_DEPTH} levels of a property.", param="expand")
        at = kind
        for part in parts[1:] if is_list else parts:
            if at != _ANY and part not in _EXPANDABLE[at]:
                raise invalid(f"This property cannot be expanded ({path}).", param="expand")
            at = _EXPANDABLE[at][part] if at != _ANY else _ANY


def expand(account: Account, shown: Json, paths: list[str]) -> None:
    """Change `shown`, which is a copy, in place."""
    for path in paths:
        _expand(account, shown, path.split("."))


def _expand(account: Account, shown: Json, parts: list[str]) -> None:
    first, rest = parts[0], parts[1:]
    value = _value(account, shown, first)
    if isinstance(value, str):
        found = account.find(value)
        value = dict(found) if found is not None else value
    shown[first] = value
    for inner in value if isinstance(value, list) else [value]:
        if rest and isinstance(inner, dict):
            _expand(account, inner, rest)


def _value(account: Account, shown: Json, field: str) -> Any:
    if (shown.get("object"), field) == ("charge", "refunds") and "refunds" not in shown:
        of_charge = [dict(refund) for refund in account.all("refund") if refund["charge"] == shown["id"]]
        return whole(of_charge, f"/v1/charges/{shown['id']}/refunds")
    return shown.get(field)
