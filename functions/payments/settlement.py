"""Settlement: what a payment at Stripe has come to is booked, as far as it is not yet.

What Stripe has is a set of balance transactions that only grows, and each is booked once, in the transaction that
remembers it. So whoever looks, however often, in whatever order they were told to, and wherever they died, the ledger
ends at the same place.
"""

from __future__ import annotations

from functions.payments import balances, ledger, ledger_repository, provider, repository
from functions.payments.ledger import PURCHASE, Account, Kind, Position, Returned
from functions.payments.movements import Movement, Payment
from functions.payments.repository import PurchaseRow
from shared.postgres.transaction import Transaction


def mismatch(purchase: PurchaseRow, payment: Payment) -> str | None:
    """Why this payment is not the one that the purchase asked for; None when it is."""
    if purchase.payment_intent_id not in {None, payment.id}:
        return "another payment of the same purchase"
    if payment.amount_cents != purchase.price_cents or any(
        movement.cents != purchase.price_cents for movement in payment.movements if movement.kind == PURCHASE
    ):
        return "another amount"
    if payment.currency != purchase.currency:
        return "another currency"
    if payment.livemode != provider.is_live():
        return "another mode"
    return None


async def settle(transaction: Transaction, purchase: PurchaseRow, payment: Payment) -> bool:
    """Book what is new; return whether anything was. The purchase is locked by this transaction."""
    known = await repository.known_movements(transaction, purchase.id, [one.id for one in payment.movements])
    new = [one for one in payment.movements if one.id not in known and (one.cents or one.fee_cents)]
    returned_cents = purchase.returned_cents
    if new:
        wallet_of, owed_of = (Kind.WALLET, purchase.user_id), (Kind.OWED, purchase.user_id)
        accounts = await ledger_repository.lock_accounts(transaction, wallet_of, owed_of)
        returned = await repository.list_returned(transaction, purchase)
        booking = _Booking(accounts[wallet_of], accounts[owed_of], purchase, returned)
        for movement in new:
            await booking.book(transaction, movement)
        returned_cents = booking.returned_cents
        balances.forget(transaction, purchase.user_id)
    status = _status(purchase, payment, [*known.values(), *new], returned_cents)
    if (status, returned_cents, payment.id) == (purchase.status, purchase.returned_cents, purchase.payment_intent_id):
        return bool(new)
    await repository.set_outcome(
        transaction, purchase.id, intent_id=payment.id, status=status, returned_cents=returned_cents
    )
    return True


class _Booking:
    """Movements of one purchase booked one after another, each as a transfer of its own."""

    def __init__(self, wallet: Account, owed: Account, purchase: PurchaseRow, returned: dict[str, Returned]) -> None:
        self._wallet = wallet
        self._owed = owed
        self._purchase = purchase
        self._others = returned
        self._tokens = wallet.balance + owed.balance
        self.returned_cents = purchase.returned_cents

    async def book(self, transaction: Transaction, movement: Movement) -> None:
        before = self._position()
        due = self._returned().due_tokens
        if movement.kind == PURCHASE:
            self._tokens += self._purchase.tokens
        else:
            self.returned_cents -= movement.cents
            self._tokens -= self._returned().due_tokens - due
        postings = ledger.money_moved(
            self._wallet,
            self._owed,
            before=before,
            after=self._position(),
            cents=movement.cents,
            fee_cents=movement.fee_cents,
        )
        transfer_id = await ledger_repository.post(transaction, movement.kind, postings)
        await repository.insert_movement(transaction, self._purchase.id, movement, transfer_id)

    def _returned(self) -> Returned:
        return Returned(self._purchase.tokens, self._purchase.price_cents, self.returned_cents)

    def _position(self) -> Position:
        """With this purchase in its place among those of which something was taken back."""
        return Position(self._tokens, list((self._others | {self._purchase.id: self._returned()}).values()))


def _status(purchase: PurchaseRow, payment: Payment, movements: list[Movement], returned_cents: int) -> str:
    """Money that moved says more than the payment's own state; a failure is not forgotten by who looked earlier."""
    if not any(movement.kind == PURCHASE for movement in movements):
        return "failed" if "failed" in {payment.status, purchase.status} else "pending"
    if sum(movement.cents for movement in movements if movement.kind.startswith("dispute")) < 0:
        return "disputed"
    return "refunded" if returned_cents >= purchase.price_cents else "paid"
