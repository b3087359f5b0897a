"""The ledger's rules: which postings a movement of money or tokens is made of. Plain arithmetic, no SQL.

Tokens. What a user has is one number, their position: above zero it is in their wallet, below it is owed. A purchase
raises it, a refund lowers it; so what is owed is repaid first, whatever the order in which Stripe tells of things.

Cents. `stripe` is what we have there. What we owe for tokens is `token_liability`; the part of what was refunded whose
tokens are spent already, and so could not be taken back, is `loss` until it is repaid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class House(IntEnum):
    """The house's own accounts, by the ids that the migration gave them."""

    ISSUED = 1
    FEE = 2
    REDEEMED = 3
    STRIPE = 4
    STRIPE_FEES = 5
    TOKEN_LIABILITY = 6
    CREATOR_PAYOUTS = 7
    REVENUE = 8
    LOSS = 9


class Kind(StrEnum):
    """The accounts of a user."""

    WALLET = "wallet"
    OWED = "owed"  # zero or below: a debt
    EARNINGS = "earnings"
    PAYOUT_TRANSIT = "payout_transit"


Postings = dict[int, int]  # account id -> amount, which sum to zero in each unit

PURCHASE: Final = "purchase"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a user, locked by this transaction."""

    id: int
    balance: int


@dataclass(frozen=True, slots=True)
class Returned:
    """A purchase of which refunds or disputes have taken something back."""

    tokens: int
    price_cents: int
    returned_cents: int

    @property
    def due_tokens(self) -> int:
        """The tokens that went with it, rounded down; all of them at the most."""
        return min(self.tokens, self.tokens * self.returned_cents // self.price_cents)


@dataclass(frozen=True, slots=True)
class Position:
    """What a user has, and what of theirs was taken back, before or after a movement."""

    tokens: int
    returned: Sequence[Returned]

    @property
    def wallet(self) -> int:
        return max(self.tokens, 0)

    @property
    def owed(self) -> int:
        return max(-self.tokens, 0)

    @property
    def lost_cents(self) -> int:
        """What was paid for the tokens that are owed, the oldest purchase first. A function of where things stand and
        not of how they got there, so that it is the same whatever the order."""
        owed, lost = self.owed, 0
        for purchase in self.returned:
            part = min(owed, purchase.due_tokens)
            if part:
                lost += part * purchase.returned_cents // purchase.due_tokens
                owed -= part
        return lost


def money_moved(
    wallet: Account, owed: Account, *, before: Position, after: Position, cents: int, fee_cents: int
) -> Postings:
    """A movement at Stripe, and the tokens that go with it. `cents` came in or, below zero, went out."""
    tokens = after.tokens - before.tokens
    lost = after.lost_cents - before.lost_cents
    return _without_zeros(
        {
            House.ISSUED: -tokens,
            wallet.id: after.wallet - before.wallet,
            owed.id: before.owed - after.owed,
            House.STRIPE: cents - fee_cents,
            House.STRIPE_FEES: fee_cents,
            House.TOKEN_LIABILITY: -cents - lost,
            House.LOSS: lost,
        }
    )


def tokens_spent(wallet: Account, earnings: Account, *, tokens: int, fee_tokens: int) -> Postings:
    """From a fan to a creator, less the house's part."""
    return _without_zeros({wallet.id: -tokens, earnings.id: tokens - fee_tokens, House.FEE: fee_tokens})


def _without_zeros(postings: Postings) -> Postings:
    return {int(account): amount for account, amount in postings.items() if amount}
