"""Limits of streams: 100 a minute by user, else by address; what is public, 1,000 an address."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from tests.functions.streams.people import UNKNOWN, Person
from tools.local.rest.server import RestServer


async def _spend(rest: RestServer, policy: str, kind: str, used: int) -> None:
    """As if so many requests had been made in this window."""
    (bucket,) = await rest.command("KEYS", f"rate:{policy}:{kind}:*")
    index = int((await rest.command("GET", bucket.decode())).split(b":")[0])
    await rest.command("SET", bucket.decode(), f"{index}:{used}:{used}")


async def test_user_has_a_hundred_a_minute_wherever_they_are(luna: Person, fan: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    answers = await asyncio.gather(*(fan.watch(stream_id) for _ in range(110)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 429}
    assert 100 <= statuses[200] <= 109, "a window may have begun meanwhile"
    denied = next(answer for answer in answers if answer.status_code == 429)
    assert denied.json()["code"] == "rate_limited"
    assert int(denied.headers["retry-after"]) > 0
    assert (await fan.start()).status_code == 429, "one bucket for all of them"
    assert (await nobody.watch(stream_id, "a")).status_code == 200, "the address has a bucket of its own"
    assert (await luna.beat(stream_id)).status_code == 204
    assert len(await fan.live()) == 1


async def test_denied_does_nothing(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    assert (await nobody.watch(stream_id, "a")).headers["x-ratelimit-limit"] == "100"
    await _spend(rest, "streaming", "ip", 100)
    assert (await nobody.watch(stream_id, "b")).status_code == 429
    await rest.reset_counters()
    assert (await nobody.watch(stream_id, "c")).status_code == 429
    assert rest.requests == 0
    assert (await nobody.show(stream_id))["viewers"] == 1


async def test_public_routes_have_a_thousand_an_address(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    paths = ["/streams/live", f"/streams/{stream_id}", f"/streams/{UNKNOWN}", "/streams/live?limit=0"]
    answers = [await nobody.http.get(path) for path in paths]
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
    assert left[0] == 999
    assert left[3] in {996, 997}, "a window may have begun meanwhile"
    assert answers[0].headers["ratelimit-policy"] == '"public";q=1000;w=60'
    await _spend(rest, "public", "ip", 1000)
    answers = [await nobody.http.get(path) for path in paths]
    assert {(answer.status_code, 'queries;desc="0"' in answer.headers["server-timing"]) for answer in answers} == {
        (429, True)
    }


async def test_other_methods_are_405(digis: httpx.AsyncClient, rest: RestServer) -> None:
    allowed = {
        "/streams": "POST",
        "/streams/live": "DELETE, GET, HEAD",  # as any /streams/{stream_id}
        f"/streams/{UNKNOWN}": "DELETE, GET, HEAD",
        f"/streams/{UNKNOWN}/heartbeat": "POST",
        f"/streams/{UNKNOWN}/viewers": "POST",
    }
    for path, methods in allowed.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - set(methods.split(", ")):
            answer = await digis.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), (method, path)
            assert answer.headers["allow"] == methods
    assert rest.requests == 0
    assert (await digis.head("/streams/live")).status_code == 200
    for path in ("/streams/", f"/streams/{UNKNOWN}/", f"/streams/{UNKNOWN}/viewer", "/streams/live/x"):
        answer = await digis.get(path)
        assert (answer.status_code, answer.json()["code"]) in {(404, "not_found")}, path


async def test_document_names_every_answer(digis: httpx.AsyncClient) -> None:
    paths = (await digis.get("/streams/openapi.json")).json()["paths"]
    found = {
        f"{method.upper()} {path}": sorted(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert found == {
        "POST /streams": ["201", "401", "403", "409", "422", "429", "500", "503"],
        "GET /streams/live": ["200", "400", "422", "429", "500", "503"],
        "GET /streams/{stream_id}": ["200", "404", "422", "429", "500", "503"],
        "DELETE /streams/{stream_id}": ["200", "401", "403", "404", "422", "429", "500", "503"],
        "POST /streams/{stream_id}/heartbeat": ["204", "401", "403", "404", "422", "429", "500", "503"],
        "POST /streams/{stream_id}/viewers": ["200", "401", "404", "422", "429", "500", "503"],
    }
