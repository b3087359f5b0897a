"""What a creator earned. The days that are over are cached apart from today, which every charge changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from functions.analytics import repository
from functions.analytics.schemas import (
    Bucket,
    EarningsOut,
    EarningsQuery,
    Granularity,
    PastEarnings,
    PastSummary,
    Summary,
    SummaryOut,
    Supporter,
    SupportersOut,
)
from shared import earnings
from shared.cache.entry import Fetched
from shared.cache.space import Answer, Space
from shared.cache.spaces import ANALYTICS, LISTS
from shared.earnings import Today
from shared.http.cursors import Cursor
from shared.http.problems import ValidationFailed
from shared.http.queries import PageQuery
from shared.upstash import keys

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 366

past_earnings: Final = Space(keys.ANALYTICS, "earnings", PastEarnings, ANALYTICS)
past_summaries: Final = Space(keys.ANALYTICS, "summary", PastSummary, ANALYTICS)
supporters: Final = Space(keys.ANALYTICS, "supporters", SupportersOut, LISTS)


def now() -> datetime:
    return datetime.now(UTC)


def is_settled(at: datetime) -> bool:
    """Whether all that is dated yesterday has been committed: a transaction may take until after midnight. Until then
    what is said of yesterday is not kept."""
    return at - earnings.SETTLED >= at.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Days:
    """What is asked of a creator's earnings: these days, both included, at this moment."""

    creator_id: str
    first: date
    last: date
    granularity: Granularity
    at: datetime

    @classmethod
    def of(cls, creator_id: str, query: EarningsQuery, at: datetime) -> Days:
        """Raise ValidationFailed for days in the wrong order, or too many."""
        last = query.to or at.date()
        first = query.from_ or date.fromordinal(max(last.toordinal() - DEFAULT_DAYS + 1, 1))
        if first > last:
            raise _refused("should be no later than to")
        if (last - first).days >= MOST_DAYS:
            raise _refused(f"should be at most {MOST_DAYS} days before the end of to")
        return cls(creator_id, first, last, query.granularity, at)

    @property
    def today(self) -> date:
        return self.at.date()

    @property
    def last_past(self) -> date | None:
        """The last of these days that is over; None when none is."""
        yesterday = self.today - timedelta(days=1)
        return min(self.last, yesterday) if self.first <= yesterday else None

    @property
    def past_key(self) -> tuple[str, ...] | None:
        last = self.last_past
        if last is None or (last == self.today - timedelta(days=1) and not is_settled(self.at)):
            return None
        return self.creator_id, self.first.isoformat(), last.isoformat(), self.granularity

    @property
    def today_key(self) -> tuple[str, ...] | None:
        return earnings.key_parts(self.creator_id, self.today) if self.last >= self.today else None

    def bucket_of(self, day: date) -> date:
        """The first day of its bucket, which may be before the first of these."""
        if self.granularity is Granularity.WEEK:
            return date.fromordinal(day.toordinal() - day.weekday())
        return day.replace(day=1) if self.granularity is Granularity.MONTH else day

    def buckets(self) -> Iterator[date]:
        """Each of them, in order."""
        days = map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))
        return iter(dict.fromkeys(map(self.bucket_of, days)))


def _refused(message: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"field": "query.from", "message": message}])


async def show_earnings(days: Days, past: Fetched, of_today: Fetched) -> tuple[EarningsOut | None, list[Answer]]:
    """From the parts that the gate looked up; None where there is no such creator."""
    totals: dict[date, int] = {}
    answers = []
    if (last := days.last_past) is not None:
        answers.append(await past_earnings.answer(past, lambda: load_past(days, last)))
        before = past_earnings.parse(answers[-1].entry)
        if before is None:
            return None, answers
        totals |= before.totals
    if days.last >= days.today:
        answers.append(await earnings.space.answer(of_today, lambda: load_today(days.creator_id, days.today)))
        today = earnings.space.parse(answers[-1].entry)
        if today is None:
            return None, answers
        if days.first <= days.today:
            bucket = days.bucket_of(days.today)
            totals[bucket] = totals.get(bucket, 0) + today.total
    shown = [Bucket(date=bucket, total=totals.get(bucket, 0)) for bucket in days.buckets()]
    return EarningsOut(earnings=shown, from_=days.first, to=days.last, granularity=days.granularity), answers


async def load_past(days: Days, last: date) -> PastEarnings | None:
    by_day = await repository.earnings(days.creator_id, days.first, last)
    if by_day is None:
        return None
    totals = Counter[date]()
    for day, total in by_day.items():
        totals[days.bucket_of(day)] += total
    return PastEarnings(totals=totals)


def past_summary_key(creator_id: str, at: datetime) -> tuple[str, ...] | None:
    return (creator_id, at.date().isoformat()) if is_settled(at) else None


async def show_summary(
    creator_id: str, at: datetime, past: Fetched, of_today: Fetched
) -> tuple[SummaryOut | None, list[Answer]]:
    """From the parts that the gate looked up; None where there is no such creator."""
    answers = [await past_summaries.answer(past, lambda: load_past_summary(creator_id, at.date()))]
    before = past_summaries.parse(answers[0].entry)
    if before is None:
        return None, answers
    answers.append(await earnings.space.answer(of_today, lambda: load_today(creator_id, at.date())))
    today = earnings.space.parse(answers[1].entry)
    if today is None:
        return None, answers
    summary = Summary(
        today=today.total,
        last_7_days=before.last_6_days + today.total,
        last_30_days=before.last_29_days + today.total,
        lifetime=before.lifetime + today.total,
        supporters=before.supporters + today.new_supporters,
        payouts_paid_cents=today.payouts_paid_cents,
    )
    return SummaryOut(summary=summary), answers


async def load_past_summary(creator_id: str, today: date) -> PastSummary | None:
    row = await repository.past(creator_id, today)
    return None if row is None else PastSummary.model_validate(row, from_attributes=True)


async def load_today(creator_id: str, today: date) -> Today | None:
    row = await repository.today(creator_id, today)
    return None if row is None else Today.model_validate(row, from_attributes=True)


def place_of(query: PageQuery) -> Cursor | None:
    """Where a page begins. Raise InvalidCursor."""
    return None if query.cursor is None else Cursor.decode(query.cursor, order=repository.SUPPORTERS)


async def list_supporters(creator_id: str, query: PageQuery) -> SupportersOut | None:
    """One page; None where there is no such creator. Raise InvalidCursor."""
    rows = await repository.list_supporters(creator_id, after=place_of(query), limit=query.limit + 1)
    if not rows and not await repository.is_creator(creator_id):
        return None
    shown = rows[: query.limit]
    return SupportersOut(
        supporters=[Supporter.model_validate(row) for row in shown],
        next_cursor=shown[-1].cursor().encode() if len(rows) > query.limit else None,
    )
