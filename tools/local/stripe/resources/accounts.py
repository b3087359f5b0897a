"""Accounts: those that are connected to the platform, to which it transfers money."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import StripeRefused, invalid, refused
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, METADATA, PAGE, Params
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

_TYPES: Final = ("custom", "express", "standard")
_CAPABILITIES: Final = ("card_payments", "transfers")
_BUSINESS_TYPES: Final = ("company", "government_entity", "individual", "non_profit")
_REASONS: Final = ("fraud", "other", "terms_of_service")
_PROFILE: Final = ("mcc", "name", "product_description", "url")
_DUE: Final = ("external_account", "individual.dob.day", "individual.first_name", "individual.last_name")


def create(account: Account, call: Call) -> Json:
    params = call.params
    kind, controller = params.one_of("type", _TYPES), params.given.get("controller")
    if kind and controller:
        raise invalid("You may not provide both `type` and `controller`.", param="type")
    if not (kind or controller):
        raise invalid("Missing required param: type.", param="type", code="parameter_missing")
    country = (params.text("country") or "US").upper()
    if not (len(country) == 2 and country.isalpha()):  # noqa: PLR2004 -- ISO 3166
        raise invalid(f"Country '{country}' is unknown. Try using a 2-character code.", param="country")
    changes, metadata, dashboard = _changes(params), params.metadata(), {"stripe_dashboard": {"type": kind or "full"}}
    capabilities = {name: "" for name, is_requested in _requested(params).items() if is_requested}
    made = account.make(
        "account",
        **{"business_type": None, "email": None, **changes},
        business_profile={**dict.fromkeys(_PROFILE), **params.mapping("business_profile")},
        capabilities=capabilities,
        charges_enabled=False,
        controller={"type": "application", "is_controller": True, **dashboard, **(controller or {})},
        country=country,
        default_currency=params.text("default_currency") or "usd",
        details_submitted=False,
        external_accounts={"object": "list", "data": [], "has_more": False, "url": ""},
        metadata=metadata,
        payouts_enabled=False,
        requirements={},
        tos_acceptance={"date": None, "ip": None, "user_agent": None},
        type=kind or "none",
    )
    made["external_accounts"]["url"] = f"/v1/accounts/{made['id']}/external_accounts"
    del made["livemode"]  # accounts have none
    _become(made, "inactive", "requirements.past_due", due=_DUE)
    return made


def plant(account: Account, account_id: str) -> Json:
    """An account under an id of one's own choice, onboarded long ago: no event tells of it. The one that is there, if
    there is one."""
    if found := account.store.tables["account"].get(account_id):
        return found
    transfers = {"transfers": {"requested": "true"}}
    made = create(account, Call("/v1/accounts", (), Params({"type": "express", "capabilities": transfers})))
    account.rename(made, account_id)
    made["external_accounts"]["url"] = f"/v1/accounts/{account_id}/external_accounts"
    made["details_submitted"] = True
    _become(made, "active", None)
    return made


def get(account: Account, account_id: str) -> Json:
    """The connected account. Raise Stripe's refusal: it tells nobody whether there is one that is not his."""
    found = account.store.tables["account"].get(account_id)
    if found is None:
        message = (
            f"The provided key does not have access to account '{account_id}' (or that account does not exist). "
            "Application access may have been revoked."
        )
        raise StripeRefused(403, "invalid_request_error", message, code="account_invalid")
    return found


def onboard(account: Account, account_id: str, *, is_verified: bool = True) -> Json:
    """What its owner submits on Stripe's page; unless it `is_verified` at once, its capabilities are pending."""
    connected = get(account, account_id)
    if is_rejected(connected):
        raise refused(f"Account {account_id} was rejected.")
    status = "active" if is_verified else "pending"
    if connected["details_submitted"] and _status(connected) == status:
        return connected
    connected["details_submitted"] = True
    if is_verified:
        _become(connected, "active", None)
    else:
        _become(connected, "pending", "requirements.pending_verification", verifying=["individual.id_number"])
    return _updated(account, connected)


def reject(account: Account, account_id: str, reason: str) -> Json:
    """Close it for good: nothing can be transferred to it any more."""
    connected = get(account, account_id)
    if is_rejected(connected):
        raise refused(f"Account {account_id} was already rejected.")
    _become(connected, "inactive", f"rejected.{reason}")
    return _updated(account, connected)


def is_rejected(connected: Json) -> bool:
    return str(connected["requirements"]["disabled_reason"]).startswith("rejected.")


def update(account: Account, call: Call) -> Json:
    params = call.params
    connected = get(account, call.id)
    changes = {**_changes(params), "metadata": params.metadata(connected["metadata"])}
    profile, capabilities = params.mapping("business_profile"), dict(connected["capabilities"])
    for name, is_requested in _requested(params).items():
        if is_requested:
            capabilities.setdefault(name, _status(connected))
        else:
            capabilities.pop(name, None)
    connected |= {**changes, "capabilities": capabilities}
    connected["business_profile"] |= profile
    return _updated(account, connected)


def _changes(params: Params) -> Json:
    plain: Json = {"email": params.text("email"), "business_type": params.one_of("business_type", _BUSINESS_TYPES)}
    return {name: value for name, value in plain.items() if name in params.given}


def _requested(params: Params) -> dict[str, bool]:
    given = params.given.get("capabilities", {})
    return {name: Params(options).boolean("requested", default=False) for name, options in given.items()}


def _status(connected: Json) -> str:
    """Of every capability that it has or may request."""
    if connected["payouts_enabled"]:
        return "active"
    return "pending" if connected["requirements"]["pending_verification"] else "inactive"


def _become(
    connected: Json,
    status: str,
    disabled_reason: str | None,
    *,
    due: Collection[str] = (),
    verifying: Collection[str] = (),
) -> None:
    connected |= {
        "capabilities": dict.fromkeys(connected["capabilities"], status),
        "charges_enabled": status == "active",
        "payouts_enabled": status == "active",
        "requirements": {
            "alternatives": [],
            "current_deadline": None,
            "currently_due": [*due],
            "disabled_reason": disabled_reason,
            "errors": [],
            "eventually_due": [*due],
            "past_due": [*due],
            "pending_verification": [*verifying],
        },
    }


def _updated(account: Account, connected: Json) -> Json:
    account.changed(connected)
    account.announce("account.updated", connected, connected=connected["id"])
    return connected


def delete(account: Account, call: Call) -> Json:
    account_id = get(account, call.id)["id"]
    account.store.remove("account", account_id)
    return {"id": account_id, "object": "account", "deleted": True}


def retrieve(account: Account, call: Call) -> Json:
    return get(account, call.id)


def list_(account: Account, call: Call) -> Json:
    return page(account.all("account"), call.params, call.path)


def _reject(account: Account, call: Call) -> Json:
    call.params.required_text("reason")
    return reject(account, call.id, str(call.params.one_of("reason", _REASONS)))


_CHANGEABLE: Final = METADATA | {
    *("email", "business_type"),
    *(f"business_profile[{name}]" for name in _PROFILE),
    *(f"capabilities[{name}][requested]" for name in _CAPABILITIES),
}
_CONTROLLER: Final = frozenset(
    {"controller[requirement_collection]", *(f"controller[{of}][*]" for of in ("fees", "losses", "stripe_dashboard"))}
)
_CREATE: Final = _CHANGEABLE | _CONTROLLER | {"type", "country", "default_currency"}
ROUTES: Final = (
    Route("POST", "/v1/accounts", create, "account", _CREATE),
    Route("GET", "/v1/accounts", list_, "account", PAGE | CREATED, is_list=True),
    Route("GET", "/v1/accounts/{id}", retrieve, "account"),
    Route("POST", "/v1/accounts/{id}", update, "account", _CHANGEABLE),
    Route("DELETE", "/v1/accounts/{id}", delete, "account"),
    Route("POST", "/v1/accounts/{id}/reject", _reject, "account", frozenset({"reason"})),
)
