"""Senders: whoever sends a payout's money, once, whatever happens to them meanwhile.

Who sends has claimed the payout (a fence that every later write compares), and has committed that it is sent before it
is. A claim is good for a minute, by the wall clock, and nobody claims it again before the slowest such sender is done.
What became of it is asked of Stripe, never assumed: a sender who hears nothing leaves the payout as it is.

Repeats within a day go under the same key, which Stripe does not carry out twice. After 20 hours that is not relied on
any more: then a payout is sent again only when, 25 hours after the last time, Stripe lists no transfer of it.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import Final

from functions.payments import (
    balances,
    ledger,
    ledger_repository,
    payout_accounts,
    payouts_repository,
    provider,
    repository,
    transfers,
)
from functions.payments.ledger import Kind
from functions.payments.payouts_repository import PayoutRow
from functions.payments.provider import ProviderFailed
from shared import telemetry
from shared.http.problems import PaymentProviderUnavailable
from shared.postgres.pool import database

SEND_WITHIN_SECONDS: Final = 60.0  # of the claim
CLAIM_SECONDS: Final = 80.0  # that, Stripe's deadline at the most (12 s), and some for the clocks
SAME_KEY_SECONDS: Final = 20 * 3600.0  # Stripe keeps a key for 24 hours at least
FORGOTTEN_SECONDS: Final = 25 * 3600.0  # by then nothing of it is under way any more, and all of it is listed
AGAIN_SECONDS: Final = 30.0  # after something that may pass by itself
WAIT_SECONDS: Final = 300.0  # where hours have to pass
NO_FUNDS_SECONDS: Final = 600.0  # until payments have become available, or somebody tops up
MOST_REFUSALS: Final = 144  # for a reason that we do not know: a day of them, and the tokens are given back


class Step(Enum):
    """What to do with a payout of which Stripe has no transfer."""

    SEND = "send"
    SEND_ANEW = "anew"  # under another key
    WAIT = "wait"
    FAIL = "fail"


class Sending(Enum):
    """What became of it."""

    SENT = "sent"
    UNKNOWN = "unknown"
    REFUSED = "refused"  # for now
    FAILED = "failed"  # for good: the tokens are the creator's again


def deadline() -> float:
    """Until when may be sent what is claimed after this, in seconds since 1970."""
    return time.time() + SEND_WITHIN_SECONDS


async def send_new(reserved: PayoutRow) -> None:
    """Send what was reserved just now. Nothing is raised: the payout is there, and reconcile goes on with it."""
    not_after = deadline()
    try:
        claimed = await payouts_repository.claim(reserved.id, fence=reserved.fence, seconds=CLAIM_SECONDS)
        if claimed is not None:
            await send(claimed, not_after, drop_later=True)
    except Exception as error:  # noqa: BLE001 -- whatever it is, what was promised is answered
        telemetry.logger().error("payout %s is left to reconcile: %s", reserved.id, type(error).__name__)


async def send(payout: PayoutRow, not_after: float, *, drop_later: bool = False) -> Sending:
    """Send a payout that is claimed, and marked as sent. `drop_later`: no more trips to Redis, there were enough. Raise
    UpstreamUnavailable where Postgres cannot be told."""
    try:
        with provider.not_after(not_after):
            made = await transfers.create(
                payout_id=payout.id, attempt=payout.attempt, cents=payout.amount_cents, account_id=payout.account_id
            )
    except PaymentProviderUnavailable as failed:
        return await _failed(payout, failed, drop_later=drop_later)
    await payouts_repository.put_off(payout, seconds=0, transfer_id=made.id)
    return Sending.SENT


async def _failed(payout: PayoutRow, failed: PaymentProviderUnavailable, *, drop_later: bool) -> Sending:
    if not isinstance(failed, ProviderFailed) or not failed.is_definitive:
        await payouts_repository.put_off(payout, seconds=AGAIN_SECONDS)
        return Sending.UNKNOWN
    if transfers.is_gone(failed) or transfers.is_not_able(failed):
        status = "closed" if transfers.is_gone(failed) else "pending"
        is_done = await fail(payout, account_status=status, drop_later=drop_later)
        return Sending.FAILED if is_done else Sending.UNKNOWN
    telemetry.logger().error("payout %s is refused: %s", payout.id, failed.reason)
    if failed.reason != transfers.NO_FUNDS and payout.attempt >= MOST_REFUSALS:
        return Sending.FAILED if await fail(payout, drop_later=drop_later) else Sending.UNKNOWN
    await payouts_repository.begin_attempt(payout, due_seconds=NO_FUNDS_SECONDS)
    return Sending.REFUSED


async def fail(payout: PayoutRow, *, account_status: str | None = None, drop_later: bool = False) -> bool:
    """Give the tokens back: nothing was sent, and nothing will be. False when somebody else has claimed it since."""
    async with database().transaction() as transaction:
        now = await payouts_repository.lock(transaction, payout.id)
        if now is None or not now.is_open or now.fence != payout.fence:
            return False
        earnings_of, transit_of = (Kind.EARNINGS, payout.creator_id), (Kind.PAYOUT_TRANSIT, payout.creator_id)
        accounts = await ledger_repository.lock_accounts(transaction, earnings_of, transit_of)
        postings = ledger.payout_failed(accounts[earnings_of], accounts[transit_of], tokens=payout.tokens)
        transfer_id = await ledger_repository.post(transaction, "payout_failed", postings)
        await payouts_repository.insert_movement(transaction, payout.id, transfer_id)
        await payouts_repository.set_outcome(
            transaction, payout, status="failed", transfer_id=None, net_cents=0, redeemed_tokens=0
        )
        if account_status is not None:
            await payout_accounts.mark(transaction, payout.account_id, account_status)
        balances.forget(transaction, payout.creator_id)
        transaction.drops_wait = drop_later
    return True


async def next_step(payout: PayoutRow) -> Step:
    """What to do with a payout that is claimed, and of which Stripe lists no transfer."""
    if payout.transfer_id is not None:  # it told us of one: whatever hides it from us, nothing is sent again
        telemetry.logger().error("payout %s was sent as %s, which is not listed", payout.id, payout.transfer_id)
        return Step.WAIT
    if payout.sent_seconds is None or payout.first_sent_seconds is None:
        return Step.SEND if await _may_be_paid(payout.creator_id) else Step.FAIL
    if payout.first_sent_seconds < SAME_KEY_SECONDS:
        return Step.SEND if await _may_be_paid(payout.creator_id) else Step.WAIT
    if payout.sent_seconds < FORGOTTEN_SECONDS:
        return Step.WAIT
    return Step.SEND_ANEW if await _may_be_paid(payout.creator_id) else Step.FAIL


async def resume(payout: PayoutRow, not_after: float) -> Sending | None:
    """Go on with a payout that is claimed, and of which Stripe lists no transfer; None: it has to wait.

    Raise UpstreamUnavailable.
    """
    step = await next_step(payout)
    if step is Step.WAIT:
        await payouts_repository.put_off(payout, seconds=WAIT_SECONDS)
        return None
    if step is Step.FAIL:
        return Sending.FAILED if await fail(payout) else None
    ours: PayoutRow | None = payout
    if step is Step.SEND_ANEW:
        ours = await payouts_repository.begin_attempt(payout, due_seconds=CLAIM_SECONDS)
    if ours is None or not await payouts_repository.mark_sent(ours):
        return None
    return await send(ours, not_after)


async def _may_be_paid(creator_id: str) -> bool:
    """Whether they still may: they may have been suspended since they asked."""
    async with database().transaction() as transaction:
        person = (await repository.lock_people(transaction, creator_id)).get(creator_id)
    return person is not None and person.is_active and person.is_creator
