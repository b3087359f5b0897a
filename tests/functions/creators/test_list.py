"""GET /creators: keyset pages over the fifty demo creators."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from shared.http.cursors import Cursor
from tests.conftest import Services
from tools.local.demo import demo_id


async def _walk(http: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """Every creator of a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(60):
        page = (await http.get("/creators", params=query | cursor)).json()
        found += page["creators"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("limit", ["1", "7", "24", "50", "100"])
async def test_pages_show_everyone_once_in_order_of_followers(digis: httpx.AsyncClient, limit: str) -> None:
    found = await _walk(digis, limit=limit)

    assert len({creator["id"] for creator in found}) == len(found) == 50
    order = [(creator["follower_count"], creator["id"]) for creator in found]
    assert order == sorted(order, reverse=True)
    assert len({count for count, _ in order}) < 50, "the demo data has ties, or this test shows nothing about them"


async def test_pages_show_everyone_once_newest_first(digis: httpx.AsyncClient) -> None:
    found = await _walk(digis, sort="newest", limit="9")

    times = [creator["created_at"] for creator in found]
    assert len(found) == 50
    assert times == sorted(times, reverse=True)


async def test_category_shows_its_creators_alone(digis: httpx.AsyncClient) -> None:
    everyone = await _walk(digis)
    expected = [creator for creator in everyone if creator["category"] == "music"]

    assert await _walk(digis, category="music", limit="4") == expected
    assert len(expected) == 9
    assert await _walk(digis, category="no-such-thing") == []


async def test_page_has_24_creators_unless_asked_otherwise(digis: httpx.AsyncClient) -> None:
    page = (await digis.get("/creators")).json()

    assert page["success"] is True
    assert len(page["creators"]) == 24
    assert isinstance(page["next_cursor"], str)


async def test_last_page_that_is_exactly_full_has_no_next(digis: httpx.AsyncClient) -> None:
    page = (await digis.get("/creators", params={"limit": "50"})).json()

    assert (len(page["creators"]), page["next_cursor"]) == (50, None)


async def test_page_is_a_hit_however_the_same_query_is_spelt(digis: httpx.AsyncClient) -> None:
    first = await digis.get("/creators", params={"limit": "24"})
    again = await digis.get("/creators", params={"sort": "followers", "limit": "024", "unknown": "x"})

    assert (first.headers["x-cache"], again.headers["x-cache"]) == ("miss", "hit")
    assert first.content == again.content
    assert first.headers["cache-control"] == "no-store"


async def test_page_goes_on_where_it_was_when_someone_new_came_first(
    digis: httpx.AsyncClient, services: Services, database_name: str
) -> None:
    first = (await digis.get("/creators", params={"sort": "newest", "limit": "10"})).json()
    connection = await asyncpg.connect(services.postgres.url(database_name))
    await connection.execute("UPDATE creators SET created_at = now() WHERE user_id = $1", demo_id("mika"))
    await connection.close()
    second = (
        await digis.get("/creators", params={"sort": "newest", "limit": "10", "cursor": first["next_cursor"]})
    ).json()

    names = [creator["username"] for creator in first["creators"] + second["creators"]]
    assert len(set(names)) == 20
    assert "mika" not in names


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        "bm90IGpzb24",
        "W10",
        "é",
        "A" * 200,
        Cursor("newest", 5, demo_id("luna")).encode(),
        Cursor("followers", 5, demo_id("luna")).encode() + "=",
        Cursor("followers", 5, demo_id("luna")).encode() + "A",
    ],
)
async def test_cursor_that_was_not_given_out_is_400(digis: httpx.AsyncClient, cursor: str) -> None:
    answer = await digis.get("/creators", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert 'queries;desc="0"' in answer.headers["server-timing"]
