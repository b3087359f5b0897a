"""AccountLinks: the pages on which the owner of a connected account tells Stripe who he is."""

from __future__ import annotations

from typing import Final

from tools.local.stripe.account import Account, random_letters
from tools.local.stripe.errors import missing, refused
from tools.local.stripe.resources import accounts
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

PAGES: Final = "/setup/c/"  # where the fake serves them, as connect.stripe.com does
_VALID_SECONDS: Final = 300
_TYPES: Final = ("account_onboarding",)
_TOKEN_LETTERS: Final = 12


def create(account: Account, call: Call) -> Json:
    params = call.params
    account_id = params.required_text("account")
    params.required_text("type")
    params.one_of("type", _TYPES)
    urls = {name: params.url(name) for name in ("refresh_url", "return_url")}
    connected = account.store.tables["account"].get(account_id)
    if connected is None:
        raise missing("account", account_id, param="account", status=400)
    if accounts.is_rejected(connected):
        raise refused(f"You cannot create an account link for {account_id}: it was rejected.", param="account")
    path = f"{PAGES}{account_id}/{random_letters(_TOKEN_LETTERS)}"
    made = account.make(
        "account_link", path=path, account=account_id, expires_at=account.now() + _VALID_SECONDS, **urls
    )
    shown = {name: made[name] for name in ("object", "created", "expires_at")}
    return {**shown, "url": f"{account.base_url()}{path}"}


def find(account: Account, path: str) -> Json | None:
    """The link with this path, its `return_url` and `refresh_url` as they were given. None: it never was."""
    return next((link for link in account.all("account_link") if link["path"] == path), None)


_CREATE: Final = frozenset({"account", "type", "refresh_url", "return_url", "collection_options[fields]"})
ROUTES: Final = (Route("POST", "/v1/account_links", create, "account_link", _CREATE),)
