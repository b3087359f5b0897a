"""Today and the days before are cached apart: a charge drops the one and not the other, and midnight moves the line."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from tests.functions.analytics.readers import Clock, Past, Reader, cache_of, queries_of, utc
from tests.functions.payments.people import Buyer
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer

HIT = ("hit", 0)


@pytest.fixture
async def luna_reads(luna: Buyer) -> Reader:
    """A creator of the demo data, with 90 days of earnings up to yesterday."""
    return Reader(luna.http, luna.user_id, luna.headers)


async def test_charge_is_seen_by_the_very_next_read_and_leaves_the_past_a_hit(
    luna_reads: Reader, fan: Buyer, clock: Clock
) -> None:
    today, yesterday = clock.at.date(), clock.at.date() - timedelta(days=1)
    days = {"from": str(today - timedelta(days=80)), "to": str(today)}
    assert cache_of(await luna_reads.get("earnings", **days)) == ("miss", 2)
    assert cache_of(await luna_reads.get("summary")) == ("miss", 1), "of today it is known already"
    for number in range(1, 4):
        assert (await fan.charge("luna", 10)).status_code == 201
        answer = await luna_reads.get("earnings", **days)
        assert cache_of(answer) == ("miss", 1), "today alone is asked for"
        assert answer.json()["earnings"][-1] == {"date": str(today), "total": 8 * number}
        assert (await luna_reads.summary())["today"] == 8 * number
        assert cache_of(await luna_reads.get("earnings", **days)) == HIT
        assert cache_of(await luna_reads.get("summary")) == HIT
        assert cache_of(await luna_reads.get("earnings", **(days | {"to": str(yesterday)}))) == HIT
    assert (await fan.charge("luna", 1_000_000)).status_code == 402
    assert cache_of(await luna_reads.get("earnings", **days)) == HIT, "nothing has moved"


async def test_charge_of_another_creator_drops_nothing(luna_reads: Reader, fan: Buyer) -> None:
    await luna_reads.get("summary")
    assert (await fan.charge("mika", 10)).status_code == 201
    assert cache_of(await luna_reads.get("summary")) == HIT


async def test_range_that_is_over_has_no_part_of_today(creator: Reader, rest: RestServer, clock: Clock) -> None:
    clock.at = utc("2026-03-04T12:00")
    for days, key in (
        ({"from": "2026-03-01", "to": "2026-03-03"}, "earnings:{}:2026-03-01:2026-03-03:day"),
        ({"from": "2026-03-04", "to": "2026-03-09"}, "today:{}:2026-03-04"),
    ):
        assert cache_of(await creator.get("earnings", **days)) == ("miss", 1)
        assert cache_of(await creator.get("earnings", **days)) == HIT
        (found,) = await rest.command("KEYS", "analytics:*")
        assert found.decode() == f"analytics:{key.format(creator.creator_id)}"
        await rest.command("DEL", found.decode())


async def test_at_midnight_what_was_today_is_looked_up_anew(creator: Reader, past: Past, clock: Clock) -> None:
    fan = await past.world.person()
    clock.at = utc("2026-03-04T23:59:59")
    days = {"from": "2026-03-03", "to": "2026-03-05"}
    await past.spent(creator.creator_id, [(clock.at, fan, 10)])
    assert list((await creator.earnings(*days.values())).values()) == [0, 8, 0]
    assert (await creator.summary())["today"] == 8

    # Dated before midnight and committed after it: what is said of yesterday now is not kept yet.
    clock.at = utc("2026-03-05T00:00:01")
    assert list((await creator.earnings(*days.values())).values()) == [0, 8, 0]
    await past.spent(creator.creator_id, [(utc("2026-03-04T23:59:59"), fan, 10)])
    assert list((await creator.earnings(*days.values())).values()) == [0, 16, 0]
    summary = await creator.summary()
    assert (summary["today"], summary["last_7_days"]) == (0, 16)

    clock.at = utc("2026-03-05T00:00:10")
    assert cache_of(await creator.get("earnings", **days)) == ("miss", 1), "of the new day it is known"
    assert cache_of(await creator.get("earnings", **days)) == HIT
    assert cache_of(await creator.get("summary")) == ("miss", 1)
    assert cache_of(await creator.get("summary")) == HIT


async def test_midnight_between_the_gate_and_the_route_changes_nothing(
    creator: Reader, clock: Clock, monkeypatch: pytest.MonkeyPatch, rest: RestServer
) -> None:
    moments = iter([utc("2026-03-04T23:59:59.999"), utc("2026-03-05T00:00:11"), utc("2026-03-05T00:00:12")])
    monkeypatch.setattr("functions.analytics.service.now", lambda: next(moments))
    answer = await creator.get("earnings")
    assert answer.json()["to"] == "2026-03-04"
    assert (await creator.get("earnings")).json()["to"] == "2026-03-05"
    assert len(list(moments)) == 1, "a request looks once"


@pytest.mark.parametrize(
    ("what", "query", "queries"),
    [
        ("earnings", {"from": "2026-01-01", "to": "2026-03-03"}, 1),
        ("earnings", {"from": "2026-01-01", "to": "2026-03-04"}, 2),
        ("summary", {}, 2),
        ("supporters", {}, 1),
    ],
)
async def test_200_first_reads_at_once_make_one_query_a_part(
    creator: Reader, past: Past, clock: Clock, what: str, query: dict[str, str], queries: int
) -> None:
    clock.at = utc("2026-03-04T12:00")
    await past.spent(creator.creator_id, [(utc("2026-02-01T12:00"), await past.world.person(), 10)])
    answers = await asyncio.gather(*(creator.get(what, **query) for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum(map(queries_of, answers)) == queries


async def test_stale_past_is_served_while_one_refreshes_it(creator: Reader, rest: RestServer, clock: Clock) -> None:
    clock.at = utc("2026-03-04T12:00")
    days = {"from": "2026-03-03", "to": "2026-03-04"}
    await creator.get("earnings", **days)
    key = f"analytics:earnings:{creator.creator_id}:2026-03-03:2026-03-03:day"
    held = "9999999999999"
    await rest.command("SET", key, f'1v5:abc:f00:{held}\n{{"totals":{{"2026-03-03":7}}}}')
    answer = await creator.get("earnings", **days)
    assert cache_of(answer) == ("stale", 0)
    assert [bucket["total"] for bucket in answer.json()["earnings"]] == [7, 0]

    await rest.command("SET", key, '1v5:abc::0\n{"totals":{"2026-03-03":7}}')
    assert cache_of(await creator.get("earnings", **days)) == ("miss", 1)


async def test_what_is_dropped_is_of_the_day_that_the_charge_is_dated(
    luna_reads: Reader, fan: Buyer, owner: asyncpg.Connection[Any], rest: RestServer, clock: Clock
) -> None:
    await luna_reads.get("summary")
    assert (await fan.charge("luna", 10)).status_code == 201
    dated = await owner.fetchval("SELECT max(created_at) FROM charges WHERE creator_id = $1", demo_id("luna"))
    assert dated.date() == clock.at.date()
    assert await rest.command("EXISTS", f"analytics:today:{luna_reads.creator_id}:{dated.date()}") == 0
