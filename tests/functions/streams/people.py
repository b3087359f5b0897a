"""People who stream and watch over HTTP, and time that passes when a test says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import httpx

from shared.http.cursors import moment
from shared.postgres.pool import database
from shared.presence import streams, viewers
from shared.upstash.client import upstash
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer

UNKNOWN: Final = "6f1d2c3b-4a59-4e68-8f70-918273645546"
SETS: Final = ("stream:live", "stream:beats")  # by when somebody is gone
_EARLIER: Final = """
for _, key in ipairs(KEYS) do
  local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    redis.call('ZADD', key, tonumber(all[i + 1]) - tonumber(ARGV[1]), all[i])
  end
end
"""


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["code"]


@dataclass(frozen=True)
class Person:
    """Somebody in front of the functions; without a token, nobody in particular."""

    http: httpx.AsyncClient
    username: str = ""
    token: str = ""

    @property
    def user_id(self) -> str:
        return str(demo_id(self.username))

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Session-Id": self.token} if self.token else {}

    async def start(self, title: Any = "Songs by request") -> httpx.Response:
        return await self.http.post("/streams", json={"title": title}, headers=self.headers)

    async def go_live(self, title: str = "Songs by request") -> str:
        answer = await self.start(title)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["stream"]["id"])

    async def beat(self, stream_id: str) -> httpx.Response:
        return await self.http.post(f"/streams/{stream_id}/heartbeat", headers=self.headers)

    async def watch(self, stream_id: str, viewer: str | None = None) -> httpx.Response:
        body = {} if viewer is None else {"viewer": viewer}
        return await self.http.post(f"/streams/{stream_id}/viewers", json=body, headers=self.headers)

    async def count(self, stream_id: str, viewer: str | None = None) -> int:
        """Watch, and say how many there are."""
        answer = await self.watch(stream_id, viewer)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["viewers"])

    async def end(self, stream_id: str) -> httpx.Response:
        return await self.http.delete(f"/streams/{stream_id}", headers=self.headers)

    async def show(self, stream_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/streams/{stream_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["stream"])

    async def live(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.http.get("/streams/live", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["streams"])

    async def is_live(self, username: str) -> tuple[bool, str]:
        """What the profile of a creator says, and whether it came from the cache."""
        answer = await self.http.get(f"/creators/{username}")
        return bool(answer.json()["creator"]["is_live"]), answer.headers["x-cache"]


async def pass_time(rest: RestServer, seconds: float) -> None:
    """All that anybody was heard of, in Redis and in Postgres, is so much longer ago."""
    await rest.command("EVAL", _EARLIER, str(len(SETS)), *SETS, str(int(1000 * seconds)))
    async with database().transaction() as transaction:
        await transaction.execute(
            """UPDATE streams SET started_at = started_at - make_interval(secs => $1),
                      last_beat_at = last_beat_at - make_interval(secs => $1) WHERE ended_at IS NULL""",
            seconds,
        )


async def row_of(stream_id: str) -> dict[str, Any]:
    """What Postgres has of a stream."""
    row = await database().fetchrow("SELECT * FROM streams WHERE id = $1::text::uuid", stream_id)
    assert row is not None
    return dict(row)


async def begin_many(count: int) -> list[str]:
    """So many live streams of as many creators, in Postgres alone; their ids."""
    async with database().transaction() as transaction:
        rows = await transaction.fetch(
            """WITH people AS (
                   INSERT INTO users (username, email, display_name, is_creator)
                   SELECT 'streamer' || n, 'streamer' || n || '@digis.test', 'Streamer ' || n, true
                     FROM generate_series(1, $1::integer) n RETURNING id
               ), profiles AS (INSERT INTO creators (user_id) SELECT id FROM people RETURNING user_id)
               INSERT INTO streams (creator_id, title) SELECT user_id, 'Number ' || row_number() OVER () FROM profiles
               RETURNING id""",
            count,
        )
    return [str(row["id"]) for row in rows]


async def fill(counts: list[int]) -> list[str]:
    """Live streams, watched by so many; their ids, as they are to be listed."""
    ids = await begin_many(len(counts))
    client = upstash()
    assert client is not None
    creator = {"id": "x", "username": "x", "display_name": "X", "avatar_url": None}
    started_at = moment(1).isoformat()
    for start in range(0, len(ids), 200):
        shown = [
            json.dumps(
                {"id": one, "creator": creator, "title": "x", "status": "live", "started_at": started_at, "viewers": 0}
            )
            for one in ids[start : start + 200]
        ]
        await client.run(*(viewers.beat(one, text) for one, text in zip(ids[start:], shown, strict=False)))
    for one, count in zip(ids, counts, strict=True):
        if count:
            await client.execute(["ZADD", "stream:counts", count, one])
    return [one for count, one in sorted(zip(counts, ids, strict=True), reverse=True)]


async def end_vanished() -> int:
    """As reconcile does."""
    return await streams.end_vanished()
