"""GET /analytics/creator/{id}/earnings: what is added up to what, and which questions are none."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from functions.payments.packages import fee_of
from tests.functions.analytics.readers import Clock, Past, Reader, Spent, code_of, queries_of, utc


async def test_earnings_are_as_the_contract_says(creator: Reader, past: Past, clock: Clock) -> None:
    clock.at = utc("2026-03-04T12:00")
    fan = await past.world.person()
    await past.spent(creator.creator_id, [(utc("2026-03-02T23:59:59.999999"), fan, 100), (clock.at, fan, 9)])
    answer = await creator.get("earnings", **{"from": "2026-03-01", "to": "2026-03-04"})
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "earnings": [
            {"date": "2026-03-01", "total": 0},
            {"date": "2026-03-02", "total": 80},
            {"date": "2026-03-03", "total": 0},
            {"date": "2026-03-04", "total": 8},
        ],
        "from": "2026-03-01",
        "to": "2026-03-04",
        "granularity": "day",
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["ratelimit-policy"] == '"analytics";q=200;w=60'


async def test_default_is_the_last_30_days(creator: Reader, clock: Clock) -> None:
    clock.at = utc("2024-03-10T12:00")
    for query, days in (({}, 30), ({"from": "2024-03-01"}, 10), ({"to": "2024-02-29"}, 30)):
        found = (await creator.get("earnings", **query)).json()
        assert len(found["earnings"]) == days
        assert found["from"] == query.get("from", found["earnings"][0]["date"])
        assert found["to"] == query.get("to", "2024-03-10") == found["earnings"][-1]["date"]
    assert (await creator.get("earnings", to="0001-01-02")).json()["from"] == "0001-01-01"


async def test_first_bucket_counts_only_the_days_asked_for(creator: Reader, past: Past, clock: Clock) -> None:
    clock.at = utc("2026-01-08T12:00")
    fan = await past.world.person()
    days = [utc(f"2025-12-{day}T12:00") for day in (28, 29, 30, 31)] + [utc(f"2026-01-0{day}T12:00") for day in (1, 8)]
    await past.spent(creator.creator_id, [(at, fan, 10) for at in days])
    assert await creator.earnings("2025-12-30", "2026-01-08", "week") == {"2025-12-29": 24, "2026-01-05": 8}
    assert await creator.earnings("2025-12-30", "2026-01-08", "month") == {"2025-12-01": 16, "2026-01-01": 16}
    assert await creator.earnings("2026-01-08", "2026-01-08", "month") == {"2026-01-01": 8}


async def test_days_to_come_are_empty(creator: Reader, past: Past, clock: Clock) -> None:
    clock.at = utc("2026-03-04T12:00")
    await past.spent(creator.creator_id, [(clock.at, await past.world.person(), 10)])
    assert await creator.earnings("2026-03-04", "2026-03-05") == {"2026-03-04": 8, "2026-03-05": 0}
    assert await creator.earnings("2026-03-05", "2026-03-06") == {"2026-03-05": 0, "2026-03-06": 0}
    assert list(await creator.earnings("9999-12-31", "9999-12-31", "month")) == ["9999-12-01"]


async def test_what_a_payout_gave_back_is_not_earned_again(creator: Reader, past: Past, clock: Clock) -> None:
    clock.at = utc("2026-03-04T12:00")
    fan = await past.world.person()
    await past.spent(creator.creator_id, [(utc("2026-03-01T12:00"), fan, 5000)])
    for at in (utc("2026-03-02T12:00"), clock.at):
        await past.payout(creator.creator_id, at, tokens=2000, net_cents=0, back=2000)
    found = await creator.earnings("2026-03-01", "2026-03-04")
    assert list(found.values()) == [4000, 0, 0, 0]
    assert (await creator.summary())["lifetime"] == 4000


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from"),
        ({"from": "2025-03-01", "to": "2026-03-02"}, "from"),
        ({"from": "2999-01-01"}, "from"),
        ({"from": "2026-3-1"}, "from"),
        ({"from": "20260301"}, "from"),
        ({"from": "2026-W10-1"}, "from"),
        ({"from": "2026-03-01T00:00:00Z"}, "from"),
        ({"from": "1772323200"}, "from"),
        ({"from": " 2026-03-01"}, "from"),
        ({"from": ""}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "0000-01-01"}, "to"),
        ({"to": "\u0662026-01-01"}, "to"),
        ({"granularity": "year"}, "granularity"),
        ({"granularity": "DAY"}, "granularity"),
    ],
)
async def test_question_that_is_none_is_422(creator: Reader, query: dict[str, Any], field: str) -> None:
    answer = await creator.get("earnings", **query)
    assert code_of(answer) == (422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [f"query.{field}"]
    assert queries_of(answer) == 0
    assert int(answer.headers["x-ratelimit-remaining"]) == 199


async def test_a_leap_year_is_not_too_long(creator: Reader) -> None:
    assert len(await creator.earnings("2024-01-01", "2024-12-31")) == 366
    assert len(await creator.earnings("2023-12-31", "2024-12-30")) == 366


async def test_earnings_are_what_the_ledger_adds_up_to(creator: Reader, past: Past, clock: Clock) -> None:
    """Random charges over two year ends, many of them at midnight; random questions, at random moments of them."""
    chance = random.Random(7)
    fans = [await past.world.person() for _ in range(3)]
    charges = [(_moment(chance), chance.choice(fans), chance.randrange(1, 500)) for _ in range(400)]
    await past.spent(creator.creator_id, charges)
    for _ in range(120):
        clock.at = _moment(chance)
        first = _moment(chance).date()
        last = min(first + timedelta(days=chance.choice((0, 1, 6, 30, 90, 365))), date(2026, 1, 31))
        granularity = chance.choice(("day", "week", "month"))
        expected = _expected(charges, first, last, granularity, clock.at)
        found = await creator.earnings(first.isoformat(), last.isoformat(), granularity)
        assert found == expected, (clock.at, first, last, granularity)
        if chance.random() < 0.5:  # from the cache
            assert await creator.earnings(first.isoformat(), last.isoformat(), granularity) == expected


def _moment(chance: random.Random) -> datetime:
    midnight = datetime(2023, 12, 20, tzinfo=UTC) + timedelta(days=chance.randrange(770))
    edge = [timedelta(0), timedelta(microseconds=-1), timedelta(seconds=1)]
    return midnight + chance.choice([*edge, timedelta(seconds=chance.randrange(86_400))])


def _expected(charges: list[Spent], first: date, last: date, granularity: str, at: datetime) -> dict[str, int]:
    """Nothing is dated later than today, as far as anybody may know."""
    seen = Counter[str]()
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        bucket = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[granularity]
        seen[bucket.isoformat()] += sum(
            tokens - fee_of(tokens) for when, _, tokens in charges if when.date() == day <= at.date()
        )
    return dict(seen)
