"""Purchases: a row of ours first, then a payment at Stripe; its webhook, not the buyer, says that it was paid."""

from __future__ import annotations

from typing import Final

from functions.payments import intents, packages, provider, repository
from functions.payments.intents import Intent
from functions.payments.repository import PurchaseRow
from functions.payments.schemas import Purchase, PurchaseIn, PurchaseOut
from shared import telemetry
from shared.http.problems import AccountInactive, NotFound, PaymentProviderUnavailable, UpstreamUnavailable
from shared.postgres import idempotency
from shared.postgres.idempotency import Answer, Operation
from shared.postgres.pool import RETRY_SECONDS, database
from shared.postgres.transaction import Transaction

CREATED: Final = 201

# Longer than all that one try can take: two transactions of 3 s and Stripe's deadline. Then whoever claimed it is dead.
CLAIM_SECONDS: Final = 20.0


async def purchase(user_id: str, wanted: PurchaseIn, key: str) -> Answer:
    """Begin a purchase, or go on with the one that was begun under this key.

    Raise PaymentProviderUnavailable: a repeat resumes the same purchase. Raise RequestInFlight, IdempotencyKeyReused or
    AccountInactive.
    """
    operation = Operation.of(user_id, "purchase", key, wanted)
    async with database().transaction() as transaction:
        claim = await idempotency.claim(transaction, operation)
        if claim.answer is not None:
            return claim.answer
        begun = await _begin(transaction, user_id, wanted, claim.subject)
        await idempotency.hold(transaction, operation, begun.id, seconds=CLAIM_SECONDS)
    try:
        intent = await _intent_of(begun)
    except PaymentProviderUnavailable as failed:
        await _give_up(operation, begun, answered=isinstance(failed, provider.ProviderFailed))
        raise
    async with database().transaction() as transaction:
        row = await repository.set_intent(transaction, begun.id, intent.id, intent.client_secret)
        if row is None:  # a webhook was quicker, with another payment than the one just made: a repeat finds that one
            raise UpstreamUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
        answer = Answer(CREATED, PurchaseOut(purchase=Purchase.model_validate(row)).model_dump_json())
        await idempotency.record(transaction, operation, answer)
    return answer


async def find(user_id: str, purchase_id: str) -> PurchaseOut:
    """One of the caller's own. Raise NotFound."""
    row = await repository.find_purchase(user_id, purchase_id)
    if row is None:
        raise NotFound
    return PurchaseOut(purchase=Purchase.model_validate(row))


async def _begin(transaction: Transaction, user_id: str, wanted: PurchaseIn, subject: str | None) -> PurchaseRow:
    """The row commits before Stripe is called: what Stripe tells of it finds it."""
    people = await repository.lock_people(transaction, user_id)
    if user_id not in people or not people[user_id].is_active:
        raise AccountInactive
    if subject is None:
        return await repository.insert_purchase(transaction, user_id, packages.PACKAGES[wanted.package_id])
    begun = await repository.lock_purchase(transaction, subject)
    assert begun is not None, "its row was committed with the claim"
    return begun


async def _intent_of(begun: PurchaseRow) -> Intent:
    """The payment that a webhook has told us of before Stripe's answer did; otherwise the one to be made."""
    if begun.payment_intent_id is not None:
        return await intents.find_intent(begun.payment_intent_id)
    return await intents.create_intent(
        purchase_id=begun.id, attempt=begun.attempt, cents=begun.price_cents, currency=begun.currency
    )


async def _give_up(operation: Operation, begun: PurchaseRow, *, answered: bool) -> None:
    """Let a repeat go on at once. Where that cannot be written the claim runs out by itself."""
    try:
        async with database().transaction() as transaction:
            if answered:
                await repository.count_attempt(transaction, begun)
            await idempotency.give_up(transaction, operation)
    except UpstreamUnavailable:
        telemetry.logger().warning("a claim runs out by itself")
