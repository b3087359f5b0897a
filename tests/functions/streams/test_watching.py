"""Who watches: a user once, the anonymous by the name that they give, twenty of one address at most."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.functions.auth.people import forget_limits
from tests.functions.streams.conftest import NewPerson
from tests.functions.streams.people import UNKNOWN, Person, code_of, pass_time
from tools.local.rest.server import RestServer


async def test_user_counts_once_however_many_screens(
    sign_in: NewPerson, luna: Person, fan: Person, nobody: Person
) -> None:
    stream_id = await luna.go_live()
    again = await sign_in("fan")
    assert [await fan.count(stream_id), await again.count(stream_id, "tv")] == [1, 1]
    assert await fan.count(stream_id, "phone") == 1
    assert await luna.count(stream_id) == 2
    assert await nobody.count(stream_id, "phone") == 3
    assert (await nobody.show(stream_id))["viewers"] == 3
    assert (await nobody.live())[0]["viewers"] == 3


async def test_anonymous_count_by_name_and_no_name_is_one(luna: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    counts = [await nobody.count(stream_id, viewer) for viewer in ("a", "b", "a", None, None, "é" * 64, "b")]
    assert counts == [1, 2, 2, 3, 3, 4, 4]
    url = f"/streams/{stream_id}/viewers"
    json = {"Content-Type": "application/json"}
    for body in (b"", b"{}", b"null", b'{"viewer": null}', b'{"other": 1}'):
        answer = await nobody.http.post(url, content=body, headers=json)
        assert (answer.status_code, answer.json()) == (200, {"success": True, "viewers": 4}), body


async def test_name_that_is_none_is_refused(luna: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    refused: list[Any] = ["", "x" * 65, 5, True, ["a"], {}]
    for viewer in refused:
        answer = await nobody.http.post(f"/streams/{stream_id}/viewers", json={"viewer": viewer})
        assert code_of(answer) == (422, "validation_failed"), viewer
    for body in (b"{", b'"a"', b"[]", b'{"viewer": "\\ud800"}', b"\xff"):
        headers = {"Content-Type": "application/json"}
        answer = await nobody.http.post(f"/streams/{stream_id}/viewers", content=body, headers=headers)
        assert code_of(answer) in {(400, "malformed_json"), (422, "validation_failed")}, body
    assert (await nobody.show(stream_id))["viewers"] == 0


async def test_session_that_is_not_good_is_refused_and_does_not_count(
    luna: Person, fan: Person, nobody: Person
) -> None:
    stream_id = await luna.go_live()
    assert code_of(await Person(fan.http, token="forged").watch(stream_id)) == (401, "unauthenticated")
    await fan.http.post("/auth/logout", headers=fan.headers)
    assert code_of(await fan.watch(stream_id)) == (401, "unauthenticated")
    assert (await nobody.show(stream_id))["viewers"] == 0


async def test_what_is_not_live_cannot_be_watched(luna: Person, nobody: Person, rest: RestServer) -> None:
    assert code_of(await nobody.watch(UNKNOWN)) == (404, "stream_not_found")
    assert code_of(await nobody.watch("nonsense")) == (422, "validation_failed")
    stream_id = await luna.go_live()
    await nobody.watch(stream_id, "a")
    await luna.end(stream_id)
    assert code_of(await nobody.watch(stream_id, "a")) == (404, "stream_not_found")
    stream_id = await luna.go_live()
    await pass_time(rest, 90)
    assert code_of(await nobody.watch(stream_id, "a")) == (404, "stream_not_found")


async def test_viewer_who_is_not_heard_of_is_gone_after_90_seconds(
    luna: Person, fan: Person, nobody: Person, rest: RestServer
) -> None:
    stream_id = await luna.go_live()
    await fan.watch(stream_id)
    await nobody.watch(stream_id, "a")
    await pass_time(rest, 60)
    await luna.beat(stream_id)
    assert await fan.count(stream_id) == 2
    await pass_time(rest, 30)
    assert (await nobody.show(stream_id))["viewers"] == 1
    assert await nobody.count(stream_id, "a") == 2


async def test_twenty_of_one_address_count_and_their_places_come_free(
    luna: Person, fan: Person, nobody: Person, rest: RestServer
) -> None:
    stream_id = await luna.go_live()
    assert [await nobody.count(stream_id, f"v{n}") for n in range(25)] == [*range(1, 21), *[20] * 5]
    assert await fan.count(stream_id) == 21, "a user counts wherever they are"
    await pass_time(rest, 50)
    await luna.beat(stream_id)
    await forget_limits(rest)
    for n in range(10):
        assert await nobody.count(stream_id, f"v{n}") == 21
    await pass_time(rest, 40)
    assert (await nobody.show(stream_id))["viewers"] == 10
    assert [await nobody.count(stream_id, f"w{n}") for n in range(15)] == [*range(11, 21), *[20] * 5]


async def test_many_who_come_at_once_are_counted_exactly(sign_in: NewPerson, luna: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    people = [await sign_in(name) for name in ("fan", "fan2", "mika", "nova")]
    calls = [person.watch(stream_id, f"{n}") for n in range(5) for person in people]
    calls += [nobody.watch(stream_id, f"v{n % 15}") for n in range(30)]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert max(answer.json()["viewers"] for answer in answers) == 19
    assert (await nobody.show(stream_id))["viewers"] == 19
