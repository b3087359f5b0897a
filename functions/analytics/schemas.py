"""What analytics is asked, what it answers, and what of that is cached."""

from __future__ import annotations

import datetime
import re
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _calendar_date(text: object) -> object:
    """Written in full: pydantic alone would also take times, and seconds since 1970. Raise ValueError."""
    if not isinstance(text, str) or not _DATE.fullmatch(text):
        raise ValueError("should be a date such as 2026-03-01")
    return datetime.date.fromisoformat(text)


Date = Annotated[datetime.date, BeforeValidator(_calendar_date)]


class Granularity(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class EarningsQuery(BaseModel):
    """Which days, both included, and what they are added up to."""

    model_config = ConfigDict(frozen=True)

    from_: Date | None = Field(None, alias="from", description="By default 29 days before `to`.")
    to: Date | None = Field(None, description="By default today, UTC. At most 366 days in all.")
    granularity: Granularity = Granularity.DAY


class Bucket(BaseModel):
    date: datetime.date = Field(description="The day; the Monday of the week; the first of the month.")
    total: int = Field(description="Tokens, net of the fee.")


class EarningsOut(BaseModel):
    success: Literal[True] = True
    earnings: list[Bucket]
    from_: datetime.date = Field(serialization_alias="from")
    to: datetime.date
    granularity: Granularity


class PastEarnings(BaseModel):
    """Cached: the totals of days that are over, by the date of their bucket. Empty buckets are not in it."""

    totals: dict[datetime.date, int]


class Summary(BaseModel):
    """Tokens, net of the fee; the days are UTC's, and today is one of them."""

    today: int
    last_7_days: int
    last_30_days: int
    lifetime: int
    supporters: int = Field(description="Who has ever spent tokens on this creator.")
    payouts_paid_cents: int


class SummaryOut(BaseModel):
    success: Literal[True] = True
    summary: Summary


class PastSummary(BaseModel):
    """Cached: what there was of it as the day began."""

    last_6_days: int
    last_29_days: int
    lifetime: int
    supporters: int


class Supporter(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    username: str
    tokens: int = Field(description="What they spent, the fee included.")
    charges: int


class SupportersOut(BaseModel):
    success: Literal[True] = True
    supporters: list[Supporter]
    next_cursor: str | None
