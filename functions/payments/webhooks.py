"""Stripe's webhooks. An event says what to look at; what has become of it is asked of Stripe itself (`inquiries`).

So events may come late, twice, in any order or not at all, and a forged one moves nothing. An event is remembered in
the transaction of its effect.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError

from functions.payments import inquiries, provider, repository
from functions.payments.schemas import Event, ReceivedOut
from shared.http.problems import MalformedJson

# What may have moved money. Others are remembered and change nothing: what they tell is told by one of these too.
_OF_PAYMENTS: Final = ("payment_intent.", "charge.refunded", "charge.updated", "charge.dispute.", "refund.")
_NOTHING_YET: Final = "payment_intent.created"
_OF_TRANSFERS: Final = "transfer."
_OF_ACCOUNTS: Final = "account.updated"
_INTENT_ID: Final = re.compile(r"pi_[A-Za-z0-9_]{1,250}")
_ACCOUNT_ID: Final = re.compile(r"acct_[A-Za-z0-9_]{1,250}")


async def receive(body: bytes, signature: str) -> ReceivedOut:
    """Take an event. Raise InvalidSignature or MalformedJson; or PaymentProviderUnavailable or UpstreamUnavailable, and
    then Stripe sends it again."""
    provider.verify(body, signature)
    try:
        event = Event.model_validate_json(body)
    except ValidationError:
        raise MalformedJson from None
    if not await repository.is_known_event(event.id):
        await _handle(event)
    return ReceivedOut()


async def _handle(event: Event) -> None:
    about = event.data.object
    if event.type.startswith(_OF_TRANSFERS) and inquiries.is_uuid(about.transfer_group):
        await inquiries.payout(about.transfer_group, event)
    elif event.type == _OF_ACCOUNTS and isinstance(about.id, str) and _ACCOUNT_ID.fullmatch(about.id):
        await inquiries.account(about.id, event)
    elif intent_id := _payment_of(event):
        await inquiries.payment(intent_id, event)
    else:
        await inquiries.ignore(event)


def _payment_of(event: Event) -> str | None:
    if not event.type.startswith(_OF_PAYMENTS) or event.type == _NOTHING_YET:
        return None
    about = event.data.object
    found = about.id if event.type.startswith("payment_intent.") else about.payment_intent
    return found if isinstance(found, str) and _INTENT_ID.fullmatch(found) else None
