"""All endpoints that there are, and a request's way to its own."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

from tools.local.stripe import expansion
from tools.local.stripe.account import Account
from tools.local.stripe.errors import unrecognized
from tools.local.stripe.params import Params
from tools.local.stripe.resources import (
    account_links,
    accounts,
    balance,
    charges,
    disputes,
    events,
    payment_intents,
    refunds,
    topups,
    transfer_reversals,
    transfers,
)
from tools.local.stripe.routing import Call, Route
from tools.local.stripe.store import Json

_RESOURCES: Final = (
    *(payment_intents, charges, refunds, disputes, balance, events),
    *(accounts, account_links, transfers, transfer_reversals, topups),
)
ROUTES: Final[tuple[Route, ...]] = tuple(route for resource in _RESOURCES for route in resource.ROUTES)


@dataclass(frozen=True)
class Execution:
    """A request that is ready to be carried out."""

    route: Route
    call: Call
    expand: list[str]

    def run(self, account: Account) -> Json:
        """The answer, as a copy that no later change reaches. Raise StripeRefused."""
        balance.settle(account)
        shown = copy.deepcopy(self.route.act(account, self.call))
        expansion.expand(account, shown, self.expand)
        return copy.deepcopy(shown)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """The endpoint and the ids in the path. Raise Stripe's 404."""
    for route in ROUTES:
        ids = route.match(method, path)
        if ids is not None:
            return route, ids
    raise unrecognized(method, path)


def prepare(method: str, path: str, params: Params) -> Execution:
    """Check what can be checked before anything executes. Raise StripeRefused."""
    route, ids = find(method, path)
    params.refuse_unknown(route.params)
    expand = params.strings("expand")
    expansion.check(expand, route.kind, is_list=route.is_list)
    return Execution(route, Call(path, ids, params), expand)
