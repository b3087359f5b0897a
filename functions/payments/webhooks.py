"""Stripe's webhooks. An event says which payment to look at; what has become of it is asked of Stripe itself.

So events may come late, twice, in any order or not at all, and a forged one moves nothing. An event is remembered in
the transaction of its effect.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from functions.payments import provider, repository, settlement
from functions.payments.movements import Payment
from functions.payments.schemas import Event, ReceivedOut
from shared import telemetry
from shared.http.problems import MalformedJson, UpstreamUnavailable
from shared.postgres.pool import database
from shared.settings import settings

_RETRY_SECONDS: Final = 5

# What may have moved money. Others are remembered and change nothing: what they tell is told by one of these too.
_TELLING: Final = ("payment_intent.", "charge.refunded", "charge.updated", "charge.dispute.", "refund.")
_NOTHING_YET: Final = "payment_intent.created"
_INTENT_ID: Final = re.compile(r"pi_[A-Za-z0-9_]{1,250}")


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
    intent_id = _payment_of(event)
    payment = await provider.find_payment(intent_id) if intent_id else None
    if payment is None or payment.stage != settings().stage or not _is_uuid(payment.purchase_id):
        await _ignore(event)
        return
    reason = await _settle(event, payment)
    if reason is not None:
        telemetry.logger().error("event %s is parked: %s", event.id, reason)


async def _settle(event: Event, payment: Payment) -> str | None:
    """The effect and the event's row, in one transaction; return why it was parked, if it was."""
    async with database().transaction() as transaction:
        purchase = await repository.lock_purchase(transaction, payment.purchase_id)
        if purchase is None:  # its row commits before Stripe hears of it: whoever cannot see it yet will
            raise UpstreamUnavailable(headers={"Retry-After": str(_RETRY_SECONDS)})
        reason = settlement.mismatch(purchase, payment)
        if reason is None:
            await settlement.settle(transaction, purchase, payment)
        await repository.insert_event(transaction, event.id, event.type, "parked" if reason else "booked", reason)
    return reason


async def _ignore(event: Event) -> None:
    async with database().transaction() as transaction:
        await repository.insert_event(transaction, event.id, event.type, "ignored", None)


def _payment_of(event: Event) -> str | None:
    if not event.type.startswith(_TELLING) or event.type == _NOTHING_YET:
        return None
    about = event.data.object
    found = about.id if event.type.startswith("payment_intent.") else about.payment_intent
    return found if isinstance(found, str) and _INTENT_ID.fullmatch(found) else None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
