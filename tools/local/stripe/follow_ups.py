"""What Stripe does a moment after a change, by the name under which it is put off and outlives a restart."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

from tools.local.stripe.account import Account
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.resources import disputes, refunds
from tools.local.stripe.store import Json

_ACTIONS: Final[dict[str, Callable[[Account, str], Json]]] = {
    "dispute": disputes.open_dispute,
    "fail_refund": refunds.fail,
}


def follow_up(account: Account, put_off: Json) -> None:
    """Do it, unless something else came between: the charge was refunded, a test did it by hand."""
    account.store.remove("follow_up", put_off["id"])
    with contextlib.suppress(StripeRefused):
        _ACTIONS[put_off["action"]](account, put_off["subject"])
