"""The books against Stripe's own: each of its balance transactions is in ours, and both come to the same.

What webhooks did not tell of is found here: an entry of Stripe's that we have not booked says which payment or payout
to ask for. What is none of ours is the house's own money, paid in or taken out, or made by something else of it.
"""

from __future__ import annotations

import time
from typing import Final

from functions.payments import inquiries, ledger, ledger_repository, reconcile_repository, transfers
from functions.payments.figures import Run
from functions.payments.inquiries import Outcome
from functions.payments.movements import Entry
from shared import telemetry
from shared.http.problems import UpstreamUnavailable
from shared.postgres.pool import DatabaseUnavailable, database

FIRST_LOOK_SECONDS: Final = 86_400  # how far back the very first look goes
OVERLAP_SECONDS: Final = 600  # for clocks that differ, and for entries that are listed late
WINDOW_SECONDS: Final = 3600  # after an outage of hours it is caught up with in parts, each of which is then done with


async def catch_up(figures: Run) -> None:
    """Book what is missing, up to now, and compare. Raise PaymentProviderUnavailable or UpstreamUnavailable."""
    asked: dict[str, Outcome] = {}
    since = await reconcile_repository.find_mark() or time.time() - FIRST_LOOK_SECONDS
    is_now = False
    while not is_now:
        if figures.time_is_up():
            return
        began = time.time()
        until = since + WINDOW_SECONDS
        is_now = until >= began
        async for page in transfers.list_entries(int(since) - OVERLAP_SECONDS, None if is_now else int(until)):
            booked = await reconcile_repository.booked_among([entry.id for entry in page])
            for entry in page:
                if entry.id not in booked:
                    figures.settled += await _book(entry, asked)
                if figures.time_is_up():
                    return
        since = began if is_now else until
        await reconcile_repository.set_mark(since)
    await _compare()


async def _book(entry: Entry, asked: dict[str, Outcome]) -> bool:
    """Whether something was booked because of it."""
    payout_id = entry.payout_id
    if entry.transfer_id is not None:
        payout_id = await transfers.group_of(entry.transfer_id)
    subject = entry.payment_id or (payout_id if inquiries.is_uuid(payout_id) else None)
    if subject is None:
        return await _book_as_the_houses(entry)
    if subject in asked and asked[subject] is not Outcome.IGNORED:  # with all its entries
        return False
    try:
        if subject not in asked:
            asked[subject] = await (inquiries.payment if entry.payment_id else inquiries.payout)(subject)
    except DatabaseUnavailable:
        raise
    except UpstreamUnavailable:  # it says that it is ours, and we know nothing of it: the comparison will tell
        telemetry.logger().error("entry %s is of something that we do not know", entry.id)
        return False
    if asked[subject] is Outcome.IGNORED:
        return await _book_as_the_houses(entry)
    return asked[subject] is Outcome.BOOKED


async def _book_as_the_houses(entry: Entry) -> bool:
    async with database().transaction() as transaction:
        if not await reconcile_repository.lock_entry(transaction, entry.id):
            return False
        postings = ledger.house_moved(cents=entry.cents, fee_cents=entry.fee_cents)
        transfer_id = await ledger_repository.post(transaction, "house", postings)
        await reconcile_repository.insert_house_movement(transaction, entry, transfer_id)
    return True


async def _compare() -> None:
    """Tell by how much the ledger differs from Stripe. What moved at Stripe just now, and is not booked yet, does not
    count; what moved between two of our questions may, once: an alarm is of what stays."""
    since = int(time.time()) - OVERLAP_SECONDS
    before = await transfers.balance_cents()
    entries = [entry async for page in transfers.list_entries(since, None) for entry in page]
    cents, missing = await reconcile_repository.compare(entries)
    after = await transfers.balance_cents()
    drift = min((balance - missing - cents for balance in (before, after)), key=abs)
    telemetry.measure(LedgerDriftCents=drift)
    if drift:
        telemetry.logger().error("the ledger is %d cents away from what is at Stripe", drift)
