"""GET /analytics/creator/{id}/supporters: who spent how much, most first, page by page."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from shared.http.cursors import Cursor
from tests.functions.analytics.readers import Clock, Past, Reader, cache_of, code_of, queries_of
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer


async def _walk(reader: Reader, **query: str) -> list[dict[str, Any]]:
    """Every supporter, page by page."""
    found: list[dict[str, Any]] = []
    for _ in range(40):
        answer = await reader.get("supporters", **query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["supporters"]
        if answer.json()["next_cursor"] is None:
            return found
        query["cursor"] = answer.json()["next_cursor"]
    raise AssertionError("the list does not end")


async def _name(past: Past, user_id: str) -> str:
    return str(await past.owner.fetchval("SELECT username FROM users WHERE id = $1", UUID(user_id)))


async def test_supporters_come_most_first_and_ties_by_id(creator: Reader, past: Past, clock: Clock) -> None:
    chance = random.Random(3)
    fans = {await past.world.person(): chance.choice((5, 5, 9, 40)) for _ in range(23)}
    charges = [(clock.at, fan, tokens) for fan, tokens in fans.items()] * 2
    await past.spent(creator.creator_id, charges)
    order = sorted(fans, key=lambda fan: (fans[fan], UUID(fan)), reverse=True)
    expected = [{"username": await _name(past, fan), "tokens": 2 * fans[fan], "charges": 2} for fan in order]
    assert len(Counter(fans.values())) < len(fans), "there are ties, or this shows nothing about them"
    for limit in ("1", "7", "23", "100"):
        assert await _walk(creator, limit=limit) == expected
    page = await creator.get("supporters")
    assert page.json() == {"success": True, "supporters": expected, "next_cursor": None}


async def test_demo_supporters_are_the_fans(creator: Reader, past: Past) -> None:
    rows = await past.owner.fetch(
        """SELECT u.username, sum(g.tokens)::int AS tokens, count(*)::int AS charges
             FROM charges g JOIN users u ON u.id = g.payer_id WHERE g.creator_id = $1 GROUP BY 1 ORDER BY 2 DESC""",
        demo_id("luna"),
    )
    assert [row["username"] for row in rows] in (["fan", "fan2"], ["fan2", "fan"])


async def test_who_is_gone_is_not_shown_and_still_counts(
    creator: Reader, past: Past, clock: Clock, rest: RestServer
) -> None:
    fans = [await past.world.person() for _ in range(4)]
    await past.spent(creator.creator_id, [(clock.at, fan, 10 + place) for place, fan in enumerate(fans)])
    await past.world.set_status(fans[3], "closed")
    await past.world.set_status(fans[1], "suspended")
    expected = [await _name(past, fans[2]), await _name(past, fans[0])]
    assert [one["username"] for one in await _walk(creator, limit="1")] == expected
    assert (await creator.summary())["supporters"] == 4


async def test_page_is_kept_however_the_same_query_is_spelt(creator: Reader) -> None:
    first = await creator.get("supporters", limit="24")
    assert cache_of(first) == ("miss", 2), "there is nobody yet: whether there is such a creator was asked too"
    assert first.json() == {"success": True, "supporters": [], "next_cursor": None}
    assert cache_of(await creator.get("supporters", limit="024", unknown="x")) == ("hit", 0)
    assert cache_of(await creator.get("supporters", limit="5"))[0] == "miss"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", ""])
async def test_limit_that_is_none_is_422(creator: Reader, limit: str) -> None:
    assert code_of(await creator.get("supporters", limit=limit)) == (422, "validation_failed")


@pytest.mark.parametrize("cursor", ["x", "%%%", "W10", "é", Cursor("followers", 5, demo_id("luna")).encode()])
async def test_cursor_that_was_not_given_out_is_400(creator: Reader, cursor: str) -> None:
    answer = await creator.get("supporters", cursor=cursor)
    assert code_of(answer) == (400, "invalid_cursor")
    assert queries_of(answer) == 0
