"""The live list: the most watched first, by pages that neither double nor lose what did not move."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import pytest

from shared.http.cursors import Cursor
from tests.functions.auth.people import forget_limits
from tests.functions.streams.people import Person, code_of, fill, pass_time
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer


async def _all_pages(http: httpx.AsyncClient, limit: int) -> list[str]:
    found: list[str] = []
    query: dict[str, str | int] = {"limit": limit}
    while True:
        answer = await http.get("/streams/live", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [one["id"] for one in page["streams"]]
        if page["next_cursor"] is None:
            return found
        assert len(page["streams"]) == limit
        query["cursor"] = page["next_cursor"]


async def test_most_watched_come_first(luna: Person, mika: Person, fan: Person, nobody: Person) -> None:
    assert (await nobody.http.get("/streams/live")).json() == {"success": True, "streams": [], "next_cursor": None}
    quiet, loud = await luna.go_live(), await mika.go_live()
    await nobody.watch(loud, "a")
    assert [one["id"] for one in await nobody.live()] == [loud, quiet]
    await nobody.watch(quiet, "a")
    await fan.watch(quiet)
    assert [(one["id"], one["viewers"]) for one in await nobody.live()] == [(quiet, 2), (loud, 1)]
    assert [one["id"] for one in await nobody.live(limit=1)] == [quiet]
    (first,) = await nobody.live(limit=1)
    assert first == await nobody.show(quiet)


@pytest.mark.parametrize("limit", [7, pytest.param(24, marks=pytest.mark.slow), 100])
async def test_pages_of_a_thousand_neither_double_nor_lose(nobody: Person, limit: int) -> None:
    expected = await fill([min(n % 40, 3 * (n // 250)) for n in range(1000)])  # hundreds have as many as each other
    assert await _all_pages(nobody.http, limit) == expected


async def test_pages_go_on_while_others_move(nobody: Person, rest: RestServer) -> None:
    ids = await fill([n // 3 for n in range(120)])
    first = (await nobody.http.get("/streams/live?limit=40")).json()
    assert [one["id"] for one in first["streams"]] == ids[:40]
    moved = {ids[5], ids[50], ids[39], ids[90]}
    for one, count in zip(sorted(moved), (0, 500, 3, 40), strict=True):
        await rest.command("ZADD", "stream:counts", str(count), one)
    rest_of_them, cursor = [], first["next_cursor"]
    while cursor is not None:
        page = (await nobody.http.get("/streams/live", params={"limit": 40, "cursor": cursor})).json()
        rest_of_them += [one["id"] for one in page["streams"]]
        cursor = page["next_cursor"]
    assert len(rest_of_them) == len(set(rest_of_them))
    assert [one for one in rest_of_them if one not in moved] == [one for one in ids[40:] if one not in moved]


async def test_streams_that_died_and_are_watched_take_no_place(nobody: Person, rest: RestServer) -> None:
    ids = await fill([5] * 30)
    for dead in ids[:25]:
        await rest.command("HDEL", "stream:shown", dead)  # as trim leaves them while somebody watches
        await rest.command("ZREM", "stream:live", dead)
    answer = (await nobody.http.get("/streams/live?limit=4")).json()
    assert [one["id"] for one in answer["streams"]] == ids[25:29]
    assert await _all_pages(nobody.http, 2) == ids[25:]


async def test_query_that_is_wrong_is_refused(nobody: Person) -> None:
    for query in ("limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=x", "limit=", "limit=1_0", "limit=%2B5"):
        answer = await nobody.http.get(f"/streams/live?{query}")
        assert code_of(answer) == (422, "validation_failed"), query
        assert answer.json()["errors"][0]["field"] == "query.limit"
    good = Cursor("watched", 3, UUID(int=1)).encode()
    other_list = Cursor("followers", 3, UUID(int=1)).encode()
    for cursor in ("nonsense", other_list, f"{good}=", good[:-1], "%00", "a" * 300, f"{good}é"):
        answer = await nobody.http.get("/streams/live", params={"cursor": cursor})
        assert code_of(answer) == (400, "invalid_cursor"), cursor
    assert (await nobody.http.get(f"/streams/live?cursor={good}&unknown=1")).status_code == 200


async def test_empty_cursor_is_the_same_with_and_without_redis(luna: Person, rest: RestServer) -> None:
    await luna.go_live()
    with_redis = await luna.http.get("/streams/live?cursor=")
    await rest.faults.set(Mode.ERROR_500)
    without = await luna.http.get("/streams/live?cursor=")
    assert (with_redis.status_code, with_redis.json().get("streams")) == (
        without.status_code,
        without.json().get("streams"),
    )


async def test_cursor_far_beyond_any_count_is_taken(luna: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    far = Cursor("watched", 253_402_300_799_999_999, UUID(int=1)).encode()
    for mode in (Mode.OK, Mode.ERROR_500):
        await rest.faults.set(mode)
        assert [one["id"] for one in await luna.live(cursor=far)] == [stream_id]


async def test_stream_that_another_release_wrote_is_left_out_until_its_heartbeat(
    luna: Person, mika: Person, rest: RestServer
) -> None:
    first, second = await luna.go_live(), await mika.go_live()
    for written in ("{}", "nonsense", "[]"):
        await rest.command("HSET", "stream:shown", first, written)
        assert [one["id"] for one in await luna.live()] == [second]
        assert (await luna.show(first))["status"] == "live"
        assert (await luna.beat(first)).status_code == 204
        assert {one["id"] for one in await luna.live()} == {first, second}


async def test_heartbeats_bring_what_changed_of_the_creator(luna: Person) -> None:
    stream_id = await luna.go_live()
    await luna.http.patch("/creators/me", json={"display_name": "Luna L."}, headers=luna.headers)
    await luna.beat(stream_id)
    (shown,) = await luna.live()
    assert shown["creator"]["display_name"] == "Luna L."


@pytest.mark.slow
async def test_list_stays_right_while_streams_come_and_go(nobody: Person, luna: Person, rest: RestServer) -> None:
    """Readers see the stream exactly while it is live."""
    ids = await fill([1] * 50)
    for _ in range(10):
        stream_id = await luna.go_live()
        pages = await asyncio.gather(*(_all_pages(nobody.http, 20) for _ in range(5)))
        assert all(sorted(page) == sorted([*ids, stream_id]) for page in pages)
        await luna.end(stream_id)
        pages = await asyncio.gather(*(_all_pages(nobody.http, 20) for _ in range(5)))
        assert all(page == ids for page in pages)
        await forget_limits(rest)
    await pass_time(rest, 91)
    assert await nobody.live() == []
