"""Events, as they can be asked for after the fact."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import invalid, missing
from tools.local.stripe.listing import page
from tools.local.stripe.params import CREATED, PAGE
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json


def retrieve(account: Account, call: Call) -> Json:
    event = account.get("event", call.id)
    if _is_connect(event):
        raise missing("event", call.id)
    return event


def _is_connect(event: Json) -> bool:
    """Of a connected account: delivered to the platform, but kept with that account, where Stripe-Account finds it."""
    return "account" in event


def list_(account: Account, call: Call) -> Json:
    one, several = call.params.text("type"), call.params.strings("types")
    if one and several:
        raise invalid("You may only specify one of these parameters: type, types.", param="types")
    patterns = [one] if one else several or ["*"]  # `charge.*` is all that begin so
    wanted = [
        event
        for event in account.all("event")
        if not _is_connect(event) and any(fnmatchcase(event["type"], pattern) for pattern in patterns)
    ]
    return page(wanted, call.params, call.path)


_FILTERS: Final = PAGE | CREATED | {"type", "types[*]"}
ROUTES: Final = (
    Route("GET", "/v1/events", list_, "event", _FILTERS, is_list=True),
    Route("GET", "/v1/events/{id}", retrieve, "event"),
)
