"""What a signed-in person does to profiles: their own changed, others' followed."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from shared import sessions
from shared.postgres.pool import database
from tests.functions.auth.test_revocation import _another_instance
from tests.support import new_token
from tools.local.rest.server import RestServer


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def luna(digis: httpx.AsyncClient) -> dict[str, str]:
    return {"X-Session-Id": await new_token("luna")}


@pytest.fixture
async def fan(digis: httpx.AsyncClient) -> dict[str, str]:
    return {"X-Session-Id": await new_token("fan")}


async def test_change_is_in_the_answer_and_in_the_next_read_of_another_process(
    digis: httpx.AsyncClient, luna: dict[str, str]
) -> None:
    async with _another_instance() as elsewhere:
        before = await elsewhere.get("/creators/luna")
        assert (await elsewhere.get("/creators/luna")).headers["x-cache"] == "hit"
        changes = {
            "display_name": " Luna L. ",
            "bio": "Now also in the mornings.",
            "links": ["https://luna.example/new?x=1#top"],
            "category": "talk",
            "avatar_url": None,
        }
        answer = await digis.patch("/creators/me", json=changes, headers=luna)
        assert answer.status_code == 200
        changed = answer.json()["creator"]
        assert changed == before.json()["creator"] | changes | {"display_name": "Luna L."}
        after = await elsewhere.get("/creators/luna")
        assert (after.json()["creator"], after.headers["x-cache"]) == (changed, "miss")
        assert after.headers["etag"] != before.headers["etag"]
    shown = await digis.get("/auth/session", headers=luna)
    assert shown.json()["user"]["display_name"] == "Luna L."


async def test_what_is_not_named_stays(digis: httpx.AsyncClient, luna: dict[str, str]) -> None:
    before = (await digis.get("/creators/luna")).json()["creator"]
    assert (await digis.patch("/creators/me", json={}, headers=luna)).json()["creator"] == before
    answer = await digis.patch("/creators/me", json={"bio": ""}, headers=luna)
    assert answer.json()["creator"] == before | {"bio": ""}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_name", ""),
        ("display_name", "   "),
        ("display_name", "x" * 61),
        ("display_name", None),
        ("bio", "x" * 501),
        ("bio", "two\nlines"),
        ("bio", "bell \x07"),
        ("bio", "zero \x00"),
        ("bio", "turned \u202e round"),
        ("bio", "isolated \u2066 too"),
        ("bio", 5),
        ("links", ["https://x.example/"] * 11),
        ("links", ["http://x.example/"]),
        ("links", ["javascript:alert(1)"]),
        ("links", ["https://good.example@evil.example/"]),
        ("links", ["https://user:secret@x.example/"]),
        ("links", ["https://good.example\\@evil.example/"]),
        ("links", ["https://"]),
        ("links", ["https:///x"]),
        ("links", ["https://x.example:99999/"]),
        ("links", ["https://x.example/" + "y" * 200]),
        ("links", ["https://x.example/\u202e"]),
        ("links", [" https://x.example/"]),
        ("links", ["https://x.example/ y"]),
        ("links", "https://x.example/"),
        ("category", "Music!"),
        ("category", ""),
        ("avatar_url", "https://elsewhere.example/me.png"),
        ("avatar_url", ""),
        ("avatar_url", 1),
    ],
)
async def test_hostile_values_are_refused_and_change_nothing(
    digis: httpx.AsyncClient, luna: dict[str, str], field: str, value: Any
) -> None:
    before = (await digis.get("/creators/luna")).json()
    answer = await digis.patch("/creators/me", json={"category": "talk", field: value}, headers=luna)
    assert _code(answer) == (422, "validation_failed")
    assert answer.json()["errors"][0]["field"].startswith(f"body.{field}")
    assert (await digis.get("/creators/luna")).json() == before


async def test_fan_has_no_profile_to_change_and_nobody_none_at_all(
    digis: httpx.AsyncClient, fan: dict[str, str]
) -> None:
    assert _code(await digis.patch("/creators/me", json={"bio": ""}, headers=fan)) == (403, "not_a_creator")
    assert _code(await digis.patch("/creators/me", json={"bio": ""})) == (401, "unauthenticated")
    for method, path in (
        ("PUT", "luna/follow"),
        ("DELETE", "luna/follow"),
        ("GET", "luna/follow"),
        ("GET", "following"),
    ):
        assert _code(await digis.request(method, f"/creators/{path}")) == (401, "unauthenticated")


async def test_follow_and_unfollow_are_repeatable_and_counted_once(
    digis: httpx.AsyncClient, fan: dict[str, str]
) -> None:
    async def followers() -> int:
        return int((await digis.get("/creators/luna")).json()["creator"]["follower_count"])

    before = await followers()
    for _ in range(2):
        answer = await digis.put("/creators/luna/follow", headers=fan)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await digis.get("/creators/luna/follow", headers=fan)).json() == {"success": True, "following": True}
    assert await followers() == before + 1
    for _ in range(2):
        assert (await digis.delete("/creators/luna/follow", headers=fan)).status_code == 204
    assert (await digis.get("/creators/luna/follow", headers=fan)).json()["following"] is False
    assert await followers() == before


async def test_fifty_follows_at_once_by_one_are_one(digis: httpx.AsyncClient, fan: dict[str, str]) -> None:
    before = (await digis.get("/creators/luna")).json()["creator"]["follower_count"]
    answers = await asyncio.gather(*(digis.put("/creators/luna/follow", headers=fan) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {204}
    assert (await digis.get("/creators/luna")).json()["creator"]["follower_count"] == before + 1


async def test_whom_one_follows_by_pages(digis: httpx.AsyncClient, fan: dict[str, str]) -> None:
    for name in ("luna", "mika", "nova"):
        await digis.put(f"/creators/{name}/follow", headers=fan)
    whole = (await digis.get("/creators/following", headers=fan)).json()
    assert [one["username"] for one in whole["creators"]] == ["nova", "mika", "luna"]
    assert whole["next_cursor"] is None
    first = (await digis.get("/creators/following?limit=2", headers=fan)).json()
    cursor = first["next_cursor"]
    second = (await digis.get(f"/creators/following?limit=2&cursor={cursor}", headers=fan)).json()
    assert first["creators"] + second["creators"] == whole["creators"]
    assert second["next_cursor"] is None
    bad = await digis.get("/creators/following?cursor=nonsense", headers=fan)
    assert _code(bad) == (400, "invalid_cursor")
    assert (await digis.get("/creators/following?limit=0", headers=fan)).status_code == 422


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_nobody_to_follow_is_404(digis: httpx.AsyncClient, fan: dict[str, str], method: str) -> None:
    answer = await digis.request(method, "/creators/nobody_there/follow", headers=fan)
    assert _code(answer) == (404, "creator_not_found")
    assert (await digis.request(method, "/creators/Not-A-Name/follow", headers=fan)).status_code == 422


async def test_trips_of_the_signed_in(
    digis: httpx.AsyncClient, rest: RestServer, luna: dict[str, str], fan: dict[str, str]
) -> None:
    for path in ("/auth/session", "/auth/sessions", "/creators/following", "/creators/luna/follow"):
        await digis.get(path, headers=fan)
        await rest.reset_counters()
        assert (await digis.get(path, headers=fan)).status_code == 200
        assert rest.requests == 1, path
    await rest.reset_counters()
    assert (await digis.patch("/creators/me", json={"bio": "x"}, headers=luna)).status_code == 200
    assert rest.requests == 2
    await rest.reset_counters()
    await digis.put("/creators/luna/follow", headers=fan)
    assert rest.requests == 2


async def test_session_of_a_token_is_found_by_its_hash_alone(digis: httpx.AsyncClient, luna: dict[str, str]) -> None:
    rows = await database().fetch("SELECT token_hash FROM sessions")
    found = [await sessions.find(sessions.Presented("", row["token_hash"])) for row in rows]
    assert all(found)
