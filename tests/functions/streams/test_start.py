"""A stream begins: who may, with which title, and never two at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx

from shared.postgres.pool import database
from tests.conftest import Services
from tests.functions.streams.conftest import NewPerson
from tests.functions.streams.people import Person, code_of, end_vanished, pass_time, row_of
from tools.local.rest.server import RestServer


async def _set_status(services: Services, database_name: str, username: str, status: str) -> None:
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(services.postgres.url(database_name, "owner"), timeout=5)
    await connection.execute("UPDATE users SET status = $2 WHERE username = $1", username, status)
    await connection.close(timeout=5)


async def test_stream_begins_and_is_shown(luna: Person) -> None:
    before = datetime.now(UTC)
    answer = await luna.start("  Songs by request  ")
    assert answer.status_code == 201
    assert answer.json()["success"] is True
    stream = answer.json()["stream"]
    assert stream.keys() == {"id", "creator", "title", "status", "started_at", "viewers"}
    assert stream["creator"].keys() == {"id", "username", "display_name", "avatar_url"}
    assert (stream["creator"]["id"], stream["creator"]["username"]) == (luna.user_id, "luna")
    assert (stream["title"], stream["status"], stream["viewers"]) == ("Songs by request", "live", 0)
    assert str(UUID(stream["id"])) == stream["id"]
    assert abs(datetime.fromisoformat(stream["started_at"]) - before) < timedelta(seconds=10)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["ratelimit-policy"] == '"streaming";q=100;w=60'
    assert await luna.show(stream["id"]) == stream
    assert await luna.live() == [stream]


async def test_only_an_active_creator_may(
    services: Services, database_name: str, luna: Person, fan: Person, nobody: Person
) -> None:
    assert code_of(await nobody.start()) == (401, "unauthenticated")
    assert code_of(await Person(luna.http, token=f"{luna.token}x").start()) == (401, "unauthenticated")
    assert code_of(await fan.start()) == (403, "not_a_creator")
    for status in ("suspended", "closed"):
        await _set_status(services, database_name, "luna", status)
        assert code_of(await luna.start()) == (403, "account_inactive")
    assert await nobody.live() == []
    await _set_status(services, database_name, "luna", "active")
    assert (await luna.start()).status_code == 201


async def test_second_one_is_refused_until_the_first_is_over(luna: Person, mika: Person) -> None:
    first = await luna.go_live()
    answer = await luna.start()
    assert code_of(answer) == (409, "already_live")
    assert answer.headers["retry-after"] == "90"
    await mika.go_live()
    await luna.end(first)
    assert await luna.go_live() != first


TAKEN = ["x", "x" * 140, "é" * 140, "🎵" * 140, f" {'x' * 140} ", "a 'quote' \"and\" <b>"]
REFUSED = [
    *("", " ", "\u00a0", "x" * 141, "🎵" * 141, "two\nlines", "bell\x07", "zero\x00", "turned \u202e", "a\u2028b"),
    *(None, 5, True, 1.5, ["x"], {"x": 1}),
]
NO_JSON = [b"", b"{", b"\xff", b'{"title": "\\ud800"}', b'{"title": NaN}', b"[" * 9000, b"[]", b"{}", b"null"]


async def test_title_is_taken_and_given_back(luna: Person) -> None:
    for title in TAKEN:
        answer = await luna.start(title)
        assert (answer.status_code, answer.json()["stream"]["title"]) == (201, title.strip())
        (shown,) = await luna.live()
        assert shown["title"] == title.strip()
        await luna.end(shown["id"])


async def test_title_that_is_none_is_refused(luna: Person) -> None:
    for place, title in enumerate(REFUSED):
        answer = await luna.start(title)
        assert code_of(answer) == (422, "validation_failed"), title
        assert answer.json()["errors"][0]["field"] == "body.title"
        assert 99 - place <= int(answer.headers["x-ratelimit-remaining"]) <= 100 - place, "it is charged"
    for body in NO_JSON:
        headers = luna.headers | {"Content-Type": "application/json"}
        answer = await luna.http.post("/streams", content=body, headers=headers)
        assert code_of(answer) in {(400, "malformed_json"), (422, "validation_failed")}, body
    assert await luna.live() == []


async def test_fifty_at_once_by_one_are_one(sign_in: NewPerson, luna: Person) -> None:
    twin = await sign_in("luna")
    answers = await asyncio.gather(*(one.start() for one in [luna, twin] * 25))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"already_live"}
    assert len(await luna.live()) == 1
    rows = await database().fetch("SELECT FROM streams WHERE creator_id = $1", UUID(luna.user_id))
    assert len(rows) == 1


async def test_start_ends_the_last_one_when_it_had_vanished(luna: Person, nobody: Person, rest: RestServer) -> None:
    old = await luna.go_live("The first")
    await nobody.watch(old, "a")
    await luna.beat(old)
    await pass_time(rest, 75)
    assert code_of(await luna.start()) == (409, "already_live")
    await pass_time(rest, 15)
    new = await luna.go_live("The second")

    assert [one["id"] for one in await nobody.live()] == [new]
    row = await row_of(old)
    assert (row["ended_at"], row["peak_viewers"], row["viewers"]) == (row["last_beat_at"], 1, 0)
    assert await end_vanished() == 0
    assert (await nobody.is_live("luna"))[0]


async def test_many_at_once_after_one_vanished_are_one(luna: Person, rest: RestServer) -> None:
    old = await luna.go_live()
    await pass_time(rest, 91)
    answers = await asyncio.gather(*(luna.start() for _ in range(20)), end_vanished(), end_vanished())
    statuses = Counter(answer.status_code for answer in answers if isinstance(answer, httpx.Response))
    assert statuses == {201: 1, 409: 19}
    assert (await row_of(old))["ended_at"] is not None
    (live,) = await luna.live()
    assert live["id"] != old


async def test_profile_says_so_at_once(luna: Person, nobody: Person) -> None:
    assert await nobody.is_live("luna") == (False, "miss")
    assert await nobody.is_live("luna") == (False, "hit")
    stream_id = await luna.go_live()
    assert await nobody.is_live("luna") == (True, "miss")
    assert await nobody.is_live("luna") == (True, "hit")
    await luna.beat(stream_id)
    await nobody.watch(stream_id)
    assert await nobody.is_live("luna") == (True, "hit")
    await luna.end(stream_id)
    assert await nobody.is_live("luna") == (False, "miss")
