"""What Stripe has of a payment, as we understand it."""

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
