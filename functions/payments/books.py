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
from functions.payments.provider import is_definitive
from shared import telemetry
from shared.http.problems import PaymentProviderUnavailable, UpstreamUnavailable
from shared.postgres.pool import DatabaseUnavailable, database

FIRST_LOOK_SECONDS: Final = 86_400  # how far back the very first look goes
OVERLAP_SECONDS: Final = 600  # for clocks that differ, and for entries that are listed late
YOUNG_SECONDS: Final = 120  # lists of Stripe's may differ for so long
PINNED_SECONDS: Final = 21_600  # then what an entry makes fail is left to whoever reads of the drift
WINDOW_SECONDS: Final = 3600  # after an outage of hours it is caught up with in parts, each of which is then done with


async def catch_up(figures: Run) -> None:
    """Book what is missing, up to now, and compare. Raise PaymentProviderUnavailable or UpstreamUnavailable; or, when
    all else is done, what an entry made fail, which the next run tries again."""
    failures: list[Exception] = []
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
            asked: dict[str, Outcome] = {}  # of each page anew: what is asked is younger than what is listed
            for entry in page:
                if entry.id not in booked:
                    figures.settled += await _is_booked_now(entry, asked, failures)
                if figures.time_is_up():
                    return
        since = began if is_now else until
        if not failures or since < began - PINNED_SECONDS:
            await reconcile_repository.set_mark(since)
    await _compare()
    if failures:
        raise failures[0]


async def _is_booked_now(entry: Entry, asked: dict[str, Outcome], failures: list[Exception]) -> bool:
    """Whether something was booked because of it. What one entry makes fail keeps nobody from the others."""
    try:
        return bool(entry.cents or entry.fee_cents) and await _book(entry, asked)
    except (PaymentProviderUnavailable, DatabaseUnavailable) as error:
        if not is_definitive(error):
            raise
        telemetry.logger().error("entry %s makes Stripe refuse", entry.id)  # `asked` has logged what it said
        failures.append(error)
    except UpstreamUnavailable:  # it says that it is ours, and we know nothing of it: the comparison will tell
        telemetry.logger().error("entry %s is of something that we do not know", entry.id)
    except Exception as error:  # noqa: BLE001 -- raised again when the others are done
        telemetry.logger().error("entry %s makes reconcile fail: %s", entry.id, type(error).__name__)
        failures.append(error)
    return False


async def _book(entry: Entry, asked: dict[str, Outcome]) -> bool:
    payout_id = entry.payout_id
    if entry.transfer_id is not None:
        payout_id = await transfers.group_of(entry.transfer_id)
    subject = entry.payment_id or (payout_id if inquiries.is_uuid(payout_id) else None)
    is_news = subject is not None and subject not in asked
    if subject is not None and is_news:
        asked[subject] = await (inquiries.payment if entry.payment_id else inquiries.payout)(subject)
    if subject is not None and asked[subject] is Outcome.PARKED:
        return False
    booked = is_news and subject is not None and asked[subject] is Outcome.BOOKED
    if subject is not None and entry.created > time.time() - YOUNG_SECONDS:
        return booked  # one that is not booked by now may be a stranger's, or Stripe's lists differ: the next run knows
    return await _book_as_the_houses(entry) or booked


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
