"""Reconcile: what was left half done is finished, and what nobody told us of is found. Every minute, by a scheduler.

Each step takes one thing at a time, under a claim or a lock of its own, in short transactions: runs may overlap, and
may die anywhere. A step that fails lets the others go on, and is tried again by the next run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from functions.payments import (
    books,
    inquiries,
    payouts_repository,
    reconcile_repository,
    senders,
    transfers,
)
from functions.payments.figures import Run
from functions.payments.inquiries import Outcome
from functions.payments.provider import is_definitive
from functions.payments.schemas import ReconciledOut
from functions.payments.senders import Sending
from shared import sessions, telemetry
from shared.http.problems import PaymentProviderUnavailable, UpstreamUnavailable
from shared.postgres import idempotency, outbox
from shared.postgres.pool import RETRY_SECONDS, database
from shared.presence import streams
from shared.upstash.errors import UpstashError

CUT_SECONDS: Final = 20.0  # then what is still under way is cut off, as a crash would: functions have 25 s
WORKERS: Final = 4  # as many as a process has connections to Postgres
PARKED_SECONDS: Final = 3600.0
PURGED_AT_ONCE: Final = 1000


Step = Callable[[Run], Awaitable[None]]


async def run() -> ReconciledOut:
    """One run. Raise a step's PaymentProviderUnavailable or UpstreamUnavailable, when all the others are done."""
    figures = Run()
    failure: Exception | None = None
    # With the parts of the time that each may take: Stripe's lists are what takes long.
    steps = ((_drain, 1), (_payouts, 4), (books.catch_up, 8), (_purchases, 2), (_streams, 1), (_purge, 1))
    try:
        async with asyncio.timeout(CUT_SECONDS):
            for place, (step, part) in enumerate(steps):
                figures.share_time(part / sum(its for _, its in steps[place:]))
                failure = await _failure_of(step, figures) or failure
    except TimeoutError:
        telemetry.logger().warning("reconcile was cut off: the next run goes on")
        failure = failure or UpstreamUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
    telemetry.measure(
        ReconcileResumed=figures.resumed,
        ReconcileSettled=figures.settled,
        ReconcileFailed=figures.failed,
        ReconcileDrained=figures.drained,
        ReconcilePurged=figures.purged,
        ReconcileStreamsEnded=figures.ended,
        ReconcileSeconds=round(time.monotonic() - figures.began, 3),
    )
    if failure is not None:
        raise failure
    return ReconciledOut(
        resumed=figures.resumed, settled=figures.settled, failed=figures.failed, drained=figures.drained
    )


async def _failure_of(step: Step, figures: Run) -> Exception | None:
    """Whatever it is, even our own mistake: the others do not depend on it."""
    try:
        await step(figures)
    except Exception as error:  # noqa: BLE001 -- raised again when the others are done
        name = getattr(step, "__name__", "a step").strip("_")
        telemetry.logger().warning("reconcile: %s is left to the next run: %s", name, type(error).__name__)
        if isinstance(error, UpstashError):
            return UpstreamUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
        return error
    return None


async def _drain(figures: Run) -> None:
    """Cached values whose drop did not reach Redis."""
    while not figures.time_is_up() and (count := await outbox.drain(database().transaction)):
        figures.drained += count


async def _payouts(figures: Run) -> None:
    """Payouts that are due: adopted where Stripe has them, else sent, or given up."""
    await _by_workers(_next_payout, figures)


async def _next_payout(figures: Run) -> bool:
    not_after = senders.deadline()
    payout = await payouts_repository.claim_next(seconds=senders.CLAIM_SECONDS)
    if payout is None:
        return False
    try:
        found = await transfers.find_transfers(payout.id)
    except PaymentProviderUnavailable:
        await payouts_repository.put_off(payout, seconds=senders.AGAIN_SECONDS)
        raise
    if not found:
        sending = await senders.resume(payout, not_after)
        figures.resumed += sending not in {None, Sending.FAILED}
        figures.failed += sending is Sending.FAILED
        return True
    outcome = await inquiries.settle_payout(payout.id, found)
    figures.settled += outcome is Outcome.BOOKED
    if outcome is Outcome.PARKED:
        await payouts_repository.put_off(payout, seconds=PARKED_SECONDS)
    return True


async def _purchases(figures: Run) -> None:
    """Purchases that are pending still."""
    await _by_workers(_next_purchase, figures)


async def _next_purchase(figures: Run) -> bool:
    intent_id = await reconcile_repository.claim_purchase()
    if intent_id is None:
        return False
    try:
        figures.settled += await inquiries.payment(intent_id) is Outcome.BOOKED
    except PaymentProviderUnavailable:
        await reconcile_repository.put_off_purchase(intent_id)
        raise
    return True


async def _streams(figures: Run) -> None:
    """Streams whose streamers just vanished."""
    while not figures.time_is_up() and (count := await streams.end_vanished()):
        figures.ended += count


async def _purge(figures: Run) -> None:
    """What is past its days."""
    figures.purged += await sessions.forget_addresses(limit=PURGED_AT_ONCE)
    figures.purged += await idempotency.purge(database().transaction, limit=PURGED_AT_ONCE)
    figures.purged += await reconcile_repository.purge_events(limit=PURGED_AT_ONCE)


async def _by_workers(take_next: Callable[[Run], Awaitable[bool]], figures: Run) -> None:
    """Some at a time, until there are no more or the time is up. Raise the first failure, when all have stopped: what
    one of them makes fail keeps nobody from the others, a service that is out does."""
    failures: list[Exception] = []

    async def work() -> None:
        while not figures.time_is_up():
            try:
                if not await take_next(figures):
                    return
            except (PaymentProviderUnavailable, UpstreamUnavailable) as error:
                if not is_definitive(error):
                    raise
                failures.append(error)
            except Exception as error:  # noqa: BLE001 -- raised again when the others are done
                telemetry.logger().error("reconcile: one of many fails: %s", type(error).__name__)
                failures.append(error)

    outcomes = await asyncio.gather(*(work() for _ in range(WORKERS)), return_exceptions=True)
    for outcome in [*outcomes, *failures]:
        if isinstance(outcome, BaseException):
            raise outcome
