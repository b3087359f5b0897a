"""What Stripe has of a payment, a payout or an account, as we understand it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Movement:
    """One of Stripe's balance transactions: `cents` came in or went out, of which `fee_cents` were kept."""

    id: str
    kind: str  # a kind of transfer in the ledger
    cents: int
    fee_cents: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A PaymentIntent as it stands: `status` is pending, failed or paid; the movements are in their order."""

    id: str
    purchase_id: str
    stage: str
    amount_cents: int
    currency: str
    livemode: bool
    status: str
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A balance transaction of a transfer: `cents` went out or, above zero, came back."""

    id: str
    cents: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that was sent to a creator's account, and what came back of it, in their order."""

    id: str
    is_made_here: bool  # and not by hand
    amount_cents: int
    currency: str
    account_id: str
    livemode: bool
    movements: tuple[Sent, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of Stripe's account of our money, and what it is about, as far as that is ours to look at: a payment or
    a payout, by its id. `cents` are before the fee."""

    id: str
    type: str
    created: int  # in seconds since 1970
    cents: int
    fee_cents: int
    payment_id: str | None = None
    payout_id: str | None = None
    transfer_id: str | None = None  # of a reversal, which does not tell whose payout it was
