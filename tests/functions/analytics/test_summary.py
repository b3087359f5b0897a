"""GET /analytics/creator/{id}/summary: the same charges as seen from today, and what was paid out."""

from __future__ import annotations

import random
from datetime import timedelta

import httpx

from functions.payments.ledger import Kind
from functions.payments.packages import fee_of
from tests.functions.analytics.readers import Clock, Past, Reader, cache_of, utc
from tests.functions.payments.people import Buyer


async def test_new_creator_has_a_summary_of_zeros(creator: Reader) -> None:
    answer = await creator.get("summary")
    names = ("today", "last_7_days", "last_30_days", "lifetime", "supporters", "payouts_paid_cents")
    assert answer.json() == {"success": True, "summary": dict.fromkeys(names, 0)}
    assert answer.headers["cache-control"] == "no-store"


async def test_days_are_counted_back_with_today(creator: Reader, past: Past, clock: Clock) -> None:
    clock.at = utc("2026-03-31T12:00")
    first, second = [await past.world.person() for _ in range(2)]
    charges = [
        *((utc("2026-03-31T00:00"), first, 1), (utc("2026-03-30T23:59:59.999999"), first, 2)),
        *((utc("2026-03-25T00:00"), second, 4), (utc("2026-03-24T23:59:59.999999"), first, 8)),
        *((utc("2026-03-02T00:00"), first, 16), (utc("2026-03-01T23:59:59.999999"), second, 32)),
    ]
    await past.spent(creator.creator_id, charges)
    net = [tokens - fee_of(tokens) for *_, tokens in charges]
    assert await creator.summary() == {
        "today": net[0],
        "last_7_days": sum(net[:3]),
        "last_30_days": sum(net[:5]),
        "lifetime": sum(net),
        "supporters": 2,
        "payouts_paid_cents": 0,
    }


async def test_supporters_are_counted_once_whenever_they_came(creator: Reader, past: Past, clock: Clock) -> None:
    clock.at = utc("2026-03-31T12:00")
    fans = [await past.world.person() for _ in range(3)]
    await past.spent(creator.creator_id, [(clock.at - timedelta(days=days), fans[0], 5) for days in (0, 0, 1, 90)])
    assert (await creator.summary())["supporters"] == 1
    await past.spent(creator.creator_id, [(clock.at, fan, 5) for fan in fans[1:] * 2])
    clock.at += timedelta(days=1)
    assert (await creator.summary())["supporters"] == 3


async def test_summary_is_what_the_ledger_adds_up_to(creator: Reader, past: Past, clock: Clock) -> None:
    chance = random.Random(11)
    fans = [await past.world.person() for _ in range(12)]
    noon = utc("2026-03-31T12:00")
    charges = [
        (noon - timedelta(minutes=chance.randrange(60 * 24 * 60)), chance.choice(fans), chance.randrange(1, 90))
        for _ in range(60)
    ]
    await past.spent(creator.creator_id, charges)
    for days in range(60, -2, -1):
        clock.at = noon - timedelta(days=days)
        known = [
            (at.date(), fan, tokens - fee_of(tokens)) for at, fan, tokens in charges if at.date() <= clock.at.date()
        ]
        net = {
            name: sum(tokens for day, _, tokens in known if (clock.at.date() - day).days < most)
            for name, most in (("today", 1), ("last_7_days", 7), ("last_30_days", 30), ("lifetime", 10_000))
        }
        supporters = len({fan for _, fan, _ in known})
        assert await creator.summary() == net | {"supporters": supporters, "payouts_paid_cents": 0}


async def test_payouts_are_what_went_out_for_good(creator: Reader, past: Past, clock: Clock) -> None:
    at = clock.at - timedelta(days=9)
    await past.spent(creator.creator_id, [(at, await past.world.person(), 10_000)])
    await past.payout(creator.creator_id, at, tokens=2000, net_cents=10_000)
    await past.payout(creator.creator_id, at, tokens=1000, net_cents=0, back=1000)
    await past.payout(creator.creator_id, at, tokens=1000, net_cents=1500)
    summary = await creator.summary()
    assert (summary["payouts_paid_cents"], summary["lifetime"]) == (11_500, 8000)
    assert cache_of(await creator.get("summary")) == ("hit", 0)
    balance = await past.owner.fetchval(
        "SELECT balance FROM ledger_accounts WHERE id = $1",
        await past.world.account(creator.creator_id, Kind.EARNINGS),
    )
    assert balance == 8000 - 2000 - 1000


async def test_payout_is_in_the_next_summary_once_it_is_settled(luna: Buyer) -> None:
    reads = Reader(luna.http, luna.user_id, luna.headers)
    luna.stripe.top_up(5000)
    account = (await luna.post("payout-account", {})).json()["payout_account"]
    if account["status"] != "active":
        async with httpx.AsyncClient(timeout=10) as browser:
            assert (await browser.get(account["onboarding_url"])).status_code == 200
    await luna.stripe.delivered()
    assert (await reads.summary())["payouts_paid_cents"] == 0
    requested = await luna.post("payouts", {"tokens": 1000})
    assert requested.status_code == 201, requested.text
    await luna.stripe.delivered()
    assert (await reads.summary())["payouts_paid_cents"] == 5000
