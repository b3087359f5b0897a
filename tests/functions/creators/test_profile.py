"""GET /creators/{username}: what a profile says, and how it is cached."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest

from shared.settings import settings
from tests.conftest import Services
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer

LUNA = {
    "id": str(demo_id("luna")),
    "username": "luna",
    "display_name": "Luna",
    "bio": "Late-night sessions, half of them requests.",
    "avatar_url": None,
    "links": ["https://luna.example/"],
    "category": "music",
    "follower_count": 120_000,
    "is_live": False,
    "created_at": "2026-01-07T10:14:00Z",
}


async def test_profile_is_as_the_contract_says_first_a_miss_then_a_hit(digis: httpx.AsyncClient) -> None:
    first = await digis.get("/creators/luna")
    second = await digis.get("/creators/luna")

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == {"success": True, "creator": LUNA}
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    for answer in (first, second):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"
        assert answer.headers["vary"] == "Origin"
        assert "set-cookie" not in answer.headers
    assert first.headers["etag"] == second.headers["etag"]


async def test_limit_headers_are_as_the_contract_says(digis: httpx.AsyncClient) -> None:
    answer = await digis.get("/creators/luna")

    assert answer.headers["ratelimit-policy"] == '"public";q=1000;w=60'
    reset = int(answer.headers["x-ratelimit-reset"])
    assert 1 <= reset <= 60
    assert answer.headers["ratelimit"] == f'"public";r=999;t={reset}'
    assert answer.headers["x-ratelimit-limit"] == "1000"
    assert answer.headers["x-ratelimit-remaining"] == "999"
    assert "x-ratelimit-mode" not in answer.headers
    assert (await digis.get("/creators/luna")).headers["x-ratelimit-remaining"] == "998"


@pytest.mark.parametrize("asked", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
async def test_unchanged_profile_is_304_when_the_caller_has_it(digis: httpx.AsyncClient, asked: str) -> None:
    etag = (await digis.get("/creators/luna")).headers["etag"]

    answer = await digis.get("/creators/luna", headers={"If-None-Match": asked.format(etag=etag)})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert answer.headers["x-cache"] == "hit"
    assert "ratelimit" in answer.headers


async def test_profile_is_sent_when_the_caller_has_another(digis: httpx.AsyncClient) -> None:
    answer = await digis.get("/creators/luna", headers={"If-None-Match": '"another"'})

    assert (answer.status_code, answer.json()["creator"]) == (200, LUNA)


async def test_head_is_the_get_without_its_body(digis: httpx.AsyncClient) -> None:
    got = await digis.get("/creators/luna")
    head = await digis.head("/creators/luna")

    assert (head.status_code, head.content, head.headers["x-cache"]) == (200, b"", "hit")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]


async def test_unknown_creator_is_404_and_remembered(digis: httpx.AsyncClient, rest: RestServer) -> None:
    first = await digis.get("/creators/nobody_here")
    second = await digis.get("/creators/nobody_here")

    assert (first.status_code, first.headers["content-type"]) == (404, "application/problem+json")
    problem = first.json()
    assert problem.pop("request_id") == first.headers["x-request-id"]
    assert problem == {
        "type": "urn:digis:problem:creator_not_found",
        "title": "Creator not found",
        "status": 404,
        "detail": "There is no such creator.",
        "instance": "/creators/nobody_here",
        "success": False,
        "code": "creator_not_found",
    }
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert 1 <= await rest.command("TTL", "creator:profile:nobody_here") <= 30


async def test_profile_is_kept_for_at_most_300_seconds(digis: httpx.AsyncClient, rest: RestServer) -> None:
    await digis.get("/creators/luna")

    assert 200 < await rest.command("TTL", "creator:profile:luna") <= 300


@pytest.mark.parametrize("status", ["suspended", "closed"])
async def test_profile_is_not_shown_of_an_account_that_is(
    digis: httpx.AsyncClient, services: Services, database_name: str, status: str
) -> None:
    await _execute(services, database_name, "UPDATE users SET status = $1 WHERE username = 'luna'", status)

    assert (await digis.get("/creators/luna")).json()["code"] == "creator_not_found"


async def test_fan_is_not_a_creator(digis: httpx.AsyncClient) -> None:
    assert (await digis.get("/creators/fan")).status_code == 404


async def test_profile_says_live_while_a_stream_has_no_end(
    digis: httpx.AsyncClient, services: Services, database_name: str
) -> None:
    start = "INSERT INTO streams (creator_id, title) VALUES ($1, 'tonight')"
    await _execute(services, database_name, start, demo_id("luna"))
    ended = "INSERT INTO streams (creator_id, title, ended_at) VALUES ($1, 'last night', now())"
    await _execute(services, database_name, ended, demo_id("mika"))

    assert (await digis.get("/creators/luna")).json()["creator"]["is_live"] is True
    assert (await digis.get("/creators/mika")).json()["creator"]["is_live"] is False


async def test_many_first_readers_make_one_query(digis: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(digis.get("/creators/nova") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    queries = [int(answer.headers["server-timing"].split('queries;desc="')[1].rstrip('"')) for answer in answers]
    assert sum(queries) == 1


async def test_cdn_may_keep_a_profile_only_where_that_is_set(
    digis: httpx.AsyncClient, fresh_process: pytest.MonkeyPatch
) -> None:
    assert "cdn-cache-control" not in (await digis.get("/creators/luna")).headers

    fresh_process.setenv("PROFILE_CDN_SECONDS", "30")
    settings.cache_clear()
    kept = await digis.get("/creators/luna")
    unknown = await digis.get("/creators/nobody_here")

    assert kept.headers["cdn-cache-control"] == "public, max-age=30"
    assert not {"x-request-id", "ratelimit", "ratelimit-policy", "x-ratelimit-limit"} & set(kept.headers)
    assert {"x-request-id", "ratelimit"} <= set(unknown.headers)


async def _execute(services: Services, database_name: str, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(services.postgres.url(database_name))
    try:
        await connection.execute(sql, *arguments)
    finally:
        await connection.close()
