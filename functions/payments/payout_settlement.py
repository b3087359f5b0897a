"""Settlement of payouts: what Stripe has transferred of one, and what came back, is booked as far as it is not yet.

As with purchases, each of Stripe's balance transactions is booked once, in the transaction that remembers it, whoever
looks, and in whatever order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from functions.payments import balances, ledger, ledger_repository, payouts_repository, provider
from functions.payments.ledger import Account, Kind
from functions.payments.movements import Sent, Transfer
from functions.payments.payouts_repository import PayoutRow
from shared import earnings, telemetry
from shared.postgres.transaction import Transaction


def mismatch(payout: PayoutRow, transfer: Transfer) -> str | None:
    """Why this transfer is not the one that the payout asked for; None when it is."""
    if transfer.amount_cents != payout.amount_cents:
        return "another amount"
    if transfer.currency != payout.currency:
        return "another currency"
    if transfer.account_id != payout.account_id:
        return "another account"
    if transfer.livemode != provider.is_live():
        return "another mode"
    return None


async def settle(transaction: Transaction, payout: PayoutRow, transfers: Sequence[Transfer]) -> bool:
    """Book what is new; return whether anything was. The payout is locked by this transaction."""
    every = [(one, moved) for one in transfers for moved in one.movements]
    known = await payouts_repository.known_movements(transaction, payout.id, [moved.id for _, moved in every])
    new = [(one, moved) for one, moved in every if moved.id not in known]
    if not new:
        return False
    earnings_of, transit_of = (Kind.EARNINGS, payout.creator_id), (Kind.PAYOUT_TRANSIT, payout.creator_id)
    accounts = await ledger_repository.lock_accounts(transaction, earnings_of, transit_of)
    booking = _Booking(accounts[earnings_of], accounts[transit_of], payout)
    for transfer, moved in new:
        await booking.book(transaction, transfer, moved)
    await payouts_repository.set_outcome(
        transaction,
        payout,
        status=booking.status,
        transfer_id=new[0][0].id,
        net_cents=booking.net_cents,
        redeemed_tokens=booking.redeemed_tokens,
    )
    balances.forget(transaction, payout.creator_id)
    earnings.forget(transaction, payout.creator_id, datetime.now(UTC))
    return True


class _Booking:
    """Movements of one payout booked one after another, each as a transfer of its own in the ledger."""

    def __init__(self, earnings: Account, transit: Account, payout: PayoutRow) -> None:
        self._earnings = earnings
        self._transit = transit
        self._payout = payout
        self.status = payout.status
        self.net_cents = payout.net_cents
        self.redeemed_tokens = payout.redeemed_tokens

    async def book(self, transaction: Transaction, transfer: Transfer, moved: Sent) -> None:
        went_out = moved.cents < 0
        opens = went_out and self.status in payouts_repository.OPEN
        before = self.redeemed_tokens
        self.net_cents -= moved.cents
        self.redeemed_tokens = ledger.redeemed_tokens(
            before, tokens=self._payout.tokens, net_cents=self.net_cents, is_open=opens
        )
        if opens:
            self.status = "paid"
        elif went_out:  # our rules never send it twice, nor after giving the tokens back: somebody has to look
            telemetry.logger().error("transfer %s was sent for a payout that was %s", transfer.id, self.status)
            telemetry.measure(PayoutsSentTwice=1)
        elif self.status == "paid" and self.redeemed_tokens == 0:
            self.status = "reversed"
        postings = ledger.payout_moved(
            self._earnings,
            self._transit,
            cents=moved.cents,
            redeemed_tokens=self.redeemed_tokens - before,
            is_open=opens,
        )
        kind = "payout_paid" if went_out else "payout_reversed"
        transfer_id = await ledger_repository.post(transaction, kind, postings)
        await payouts_repository.insert_movement(
            transaction, self._payout.id, transfer_id, stripe_id=moved.id, cents=moved.cents
        )
