"""What payments take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.http.text import PLAIN, Body

PackageId = Literal["t100", "t500", "t1000", "t5000"]
ChargeKind = Literal["tip", "unlock", "call"]
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
PayoutTokens = Annotated[int, Field(ge=1000, le=2**31 // 5 - 1)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), PLAIN]


class PurchaseIn(Body):
    package_id: PackageId


class ChargeIn(Body):
    creator_id: Annotated[UUID, Field(strict=False)]
    tokens: Tokens
    kind: ChargeKind
    note: Note | None = None


class PackageShown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    tokens: int
    price_cents: int
    currency: str


class PackagesOut(BaseModel):
    success: Literal[True] = True
    packages: list[PackageShown]


class Balance(BaseModel):
    tokens: int
    owed_tokens: int = Field(
        description="Taken back by refunds and disputes after it was spent; purchases repay it first."
    )
    earnings_tokens: int
    available_tokens: int = Field(description="The earnings that are old enough to be paid out.")
    pending_payout_tokens: int


class BalanceOut(BaseModel):
    success: Literal[True] = True
    balance: Balance


class EmbeddedCreator(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    username: str
    display_name: str
    avatar_url: str | None


class Entry(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    tokens: int = Field(description="What came in or, below zero, went out.")
    counterparty: EmbeddedCreator | None
    created_at: datetime


class HistoryOut(BaseModel):
    success: Literal[True] = True
    entries: list[Entry]
    next_cursor: str | None


class Purchase(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    status: Literal["pending", "paid", "failed", "refunded", "disputed"]
    package_id: str
    tokens: int
    price_cents: int
    currency: str
    client_secret: str | None = Field(description="What Stripe's form confirms the payment with.")
    created_at: datetime


class PurchaseOut(BaseModel):
    success: Literal[True] = True
    purchase: Purchase


class Charge(BaseModel):
    id: str
    creator: EmbeddedCreator
    tokens: int
    fee_tokens: int
    kind: ChargeKind
    created_at: datetime


class ChargeOut(BaseModel):
    success: Literal[True] = True
    charge: Charge
    balance: Balance


class PayoutIn(Body):
    tokens: PayoutTokens


class Payout(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    status: Literal["requested", "reserved", "submitted", "paid", "failed", "reversed"]
    tokens: int
    amount_cents: int
    currency: str
    created_at: datetime


class PayoutOut(BaseModel):
    success: Literal[True] = True
    payout: Payout


class PayoutsOut(BaseModel):
    success: Literal[True] = True
    payouts: list[Payout]
    next_cursor: str | None


class PayoutAccount(BaseModel):
    status: Literal["pending", "active", "closed"]
    onboarding_url: str = Field(description="Stripe's own page, good for minutes: ask again when it is needed again.")


class PayoutAccountOut(BaseModel):
    success: Literal[True] = True
    payout_account: PayoutAccount


class ReconciledOut(BaseModel):
    success: Literal[True] = True
    resumed: int = Field(description="Payouts that were sent again.")
    settled: int = Field(description="Purchases and payouts that were brought up to what Stripe has of them.")
    failed: int = Field(description="Payouts that came to nothing: their tokens were given back.")
    drained: int = Field(description="Rows of cached values that were dropped late.")


class ReceivedOut(BaseModel):
    success: Literal[True] = True
    received: Literal[True] = True


EventText = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]


class EventObject(BaseModel):
    """As much of what an event is about as may say what to look at: others have other shapes."""

    id: Any = None
    payment_intent: Any = None
    transfer_group: Any = None


class EventData(BaseModel):
    object: EventObject


class Event(BaseModel):
    """One of Stripe's events."""

    id: EventText
    type: EventText
    data: EventData
