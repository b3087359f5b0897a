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
TOKEN_CENTS: Final = 5  # what a token redeems at


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


def payout_reserved(earnings: Account, transit: Account, *, tokens: int) -> Postings:
    """Earnings that are on their way out."""
    return {earnings.id: -tokens, transit.id: tokens}


def payout_failed(earnings: Account, transit: Account, *, tokens: int) -> Postings:
    """They come back: nothing was sent, nor will be."""
    return {transit.id: -tokens, earnings.id: tokens}


def payout_moved(earnings: Account, transit: Account, *, cents: int, redeemed_tokens: int, is_open: bool) -> Postings:
    """Money of a payout that went out (`cents` below zero) or came back; and the tokens that are paid with it, which an
    open payout has in transit, or that return to who earned them (`redeemed_tokens` below zero)."""
    source = transit if is_open else earnings
    return _without_zeros(
        {
            source.id: -redeemed_tokens,
            House.REDEEMED: redeemed_tokens,
            House.STRIPE: cents,
            House.CREATOR_PAYOUTS: -cents,
        }
    )


def redeemed_tokens(before: int, *, tokens: int, net_cents: int, is_open: bool) -> int:
    """How many of a payout's tokens are paid for good when `net_cents` of it are out. All of them once money has gone;
    then only fewer: what comes back takes its tokens along, whole ones, and those are their owner's again."""
    if is_open:
        return tokens
    return min(before, -(-net_cents // TOKEN_CENTS)) if net_cents > 0 else 0


def house_moved(*, cents: int, fee_cents: int) -> Postings:
    """The house's own money, paid in or taken out."""
    return _without_zeros({House.STRIPE: cents - fee_cents, House.STRIPE_FEES: fee_cents, House.REVENUE: -cents})


def _without_zeros(postings: Postings) -> Postings:
    return {int(account): amount for account, amount in postings.items() if amount}
