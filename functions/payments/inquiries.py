"""Inquiries: whoever hears, or suspects, that something happened at Stripe asks there what it was, and books it.

Webhooks ask because of an event, whose row is written in the transaction of the effect; reconcile asks of its own.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from functions.payments import (
    intents,
    payout_accounts,
    payout_settlement,
    payouts_repository,
    repository,
    settlement,
    transfers,
)
from functions.payments.movements import Payment, Transfer
from functions.payments.schemas import Event
from shared import telemetry
from shared.http.problems import UpstreamUnavailable
from shared.postgres.pool import RETRY_SECONDS, database
from shared.settings import settings


class Outcome(StrEnum):
    """What came of an inquiry, as the event's row has it."""

    BOOKED = "booked"  # the books are what Stripe says
    IGNORED = "ignored"  # it is none of ours
    PARKED = "parked"  # it does not fit what we know, and somebody has to look
    NOTHING_NEW = "nothing_new"  # the books were what Stripe says; of an event that is `booked`


async def payment(intent_id: str, heard: Event | None = None) -> Outcome:
    """What has become of a payment. Raise PaymentProviderUnavailable, or UpstreamUnavailable: nothing was booked."""
    found = await intents.find_payment(intent_id)
    if found is None or found.stage != settings().stage or not is_uuid(found.purchase_id):
        return await ignore(heard)
    return await _settle_payment(found, heard)


async def payout(payout_id: str, heard: Event | None = None) -> Outcome:
    """What has become of a payout. Raise as `payment` does."""
    return await settle_payout(payout_id, await transfers.find_transfers(payout_id), heard)


async def settle_payout(payout_id: str, found: list[Transfer], heard: Event | None = None) -> Outcome:
    """Book what was found. Raise UpstreamUnavailable: nothing was booked."""
    if not found:
        return await ignore(heard)
    async with database().transaction() as transaction:
        row = await payouts_repository.lock(transaction, payout_id)
        if row is None and any(one.is_made_here for one in found):
            raise UpstreamUnavailable(
                headers={"Retry-After": str(RETRY_SECONDS)}
            )  # it commits before Stripe hears of it
        if row is None:
            return await ignore(heard)
        reason = next(filter(None, (payout_settlement.mismatch(row, one) for one in found)), None)
        changed = reason is None and await payout_settlement.settle(transaction, row, found)
        outcome = Outcome.PARKED if reason else Outcome.BOOKED
        if heard is not None:
            await repository.insert_event(transaction, heard.id, heard.type, outcome, reason)
    return _told(f"payout {payout_id}", reason, changed=changed)


async def account(account_id: str, heard: Event) -> Outcome:
    """What has become of a creator's account. Raise as `payment` does."""
    status = await transfers.account_status(account_id)
    async with database().transaction() as transaction:
        await payout_accounts.mark(transaction, account_id, status)
        await repository.insert_event(transaction, heard.id, heard.type, Outcome.BOOKED, None)
    return Outcome.BOOKED


async def ignore(heard: Event | None) -> Outcome:
    if heard is not None:
        async with database().transaction() as transaction:
            await repository.insert_event(transaction, heard.id, heard.type, Outcome.IGNORED, None)
    return Outcome.IGNORED


def is_uuid(text: object) -> bool:
    """Whether it is one, written as we write them."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False


async def _settle_payment(found: Payment, heard: Event | None) -> Outcome:
    async with database().transaction() as transaction:
        purchase = await repository.lock_purchase(transaction, found.purchase_id)
        if purchase is None:  # its row commits before Stripe hears of it: whoever cannot see it yet will
            raise UpstreamUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
        reason = settlement.mismatch(purchase, found)
        changed = reason is None and await settlement.settle(transaction, purchase, found)
        outcome = Outcome.PARKED if reason else Outcome.BOOKED
        if heard is not None:
            await repository.insert_event(transaction, heard.id, heard.type, outcome, reason)
    return _told(f"payment {found.id}", reason, changed=changed)


def _told(what: str, reason: str | None, *, changed: bool) -> Outcome:
    if reason is None:
        return Outcome.BOOKED if changed else Outcome.NOTHING_NEW
    telemetry.logger().error("%s is parked: %s", what, reason)
    return Outcome.PARKED
