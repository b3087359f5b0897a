"""To register, sign in by password, see and end sessions: each route's success and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from tests.functions.auth.conftest import NewPerson
from tests.functions.auth.people import Person
from tools.local.rest.server import RestServer


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_registering_signs_in(person: Person) -> None:
    answer = await person.post(
        "register", email=f" {person.email.upper()} ", username=person.username, password=person.password
    )
    body = answer.json()
    assert answer.status_code == 201
    assert body["success"] is True
    user = body["user"]
    assert (user["username"], user["email"], user["display_name"]) == (person.username, person.email, person.username)
    assert (user["is_creator"], user["email_verified"]) == (False, False)
    assert set(user) == {"id", "username", "email", "display_name", "is_creator", "email_verified", "created_at"}
    assert set(body["session"]) == {"id", "created_at", "expires_at", "token"}
    assert answer.headers["ratelimit-policy"] == '"auth";q=5;w=900'
    assert answer.headers["cache-control"] == "no-store"

    shown = await person.get(token=body["session"]["token"])
    assert shown.json() == {
        "success": True,
        "user": user,
        "session": {name: body["session"][name] for name in ("id", "created_at", "expires_at")},
    }


async def test_what_is_taken_is_said(new_person: NewPerson) -> None:
    first, second = await new_person().register(), new_person()
    answer = await second.post("register", email=first.email, username=second.username, password="x" * 10)
    assert _code(answer) == (409, "email_taken")
    answer = await second.post("register", email=second.email, username=first.username, password="x" * 10)
    assert _code(answer) == (409, "username_taken")


async def test_new_creator_has_a_profile_even_where_there_was_none_a_moment_ago(
    person: Person, digis: httpx.AsyncClient
) -> None:
    assert (await digis.get(f"/creators/{person.username}")).status_code == 404  # which is remembered
    await person.register(creator=True, display_name="Somebody New")
    profile = (await digis.get(f"/creators/{person.username}")).json()["creator"]
    assert (profile["display_name"], profile["bio"], profile["links"]) == ("Somebody New", "", [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no-at.digis.test"),
        ("email", "two@@digis.test"),
        ("email", "a b@digis.test"),
        ("email", "a@digis.test\r\nBcc: b@digis.test"),
        ("email", "a" * 250 + "@digis.test"),
        ("email", "a\x00@digis.test"),
        ("email", 5),
        ("username", "ab"),
        ("username", "Caps"),
        ("username", "following"),
        ("username", "me"),
        ("username", "live"),
        ("username", "a" * 31),
        ("password", "x" * 9),
        ("password", "x" * 129),
        ("password", 1234567890),
        ("password", "\ud800" * 10),
        ("display_name", ""),
        ("display_name", "a\u202eb"),
        ("display_name", "a\x00b"),
        ("display_name", "\ud800"),
        ("display_name", "x" * 61),
        ("creator", "true"),
        ("creator", 1),
        ("device_token", "x" * 301),
    ],
)
async def test_bad_field_is_named(person: Person, digis: httpx.AsyncClient, field: str, value: object) -> None:
    body = {"email": person.email, "username": person.username, "password": person.password, field: value}
    answer = await digis.post("/auth/register", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 422:
        assert [error["field"] for error in answer.json()["errors"]] == [f"body.{field}"]
        assert person.password not in answer.text


async def test_login(new_person: NewPerson) -> None:
    person = await new_person().register()
    before = person.token
    await person.login()
    assert person.token != before
    assert (await person.get()).status_code == 200
    assert (await person.get(token=before)).status_code == 200, "signing in elsewhere ends nothing"


async def test_login_with_a_session_replaces_that_one(person: Person) -> None:
    await person.register()
    before = person.token
    answer = await person.post("login", session=True, email=person.email, password=person.password)
    assert answer.status_code == 200
    assert (await person.get(token=before)).status_code == 401
    assert (await person.get(token=answer.json()["session"]["token"])).status_code == 200


async def test_wrong_password_and_nobody_are_told_the_same(new_person: NewPerson) -> None:
    person = await new_person().register()
    wrong = await person.post("login", email=person.email, password="not this one")
    nobody = await person.post("login", email="nobody@digis.test", password="not this one")
    assert _code(wrong) == _code(nobody) == (401, "invalid_credentials")
    assert {**wrong.json(), "request_id": ""} == {**nobody.json(), "request_id": ""}


async def test_sessions_are_listed_and_ended_one_by_one(person: Person) -> None:
    await person.register()
    first = person.token
    await person.login()
    listed = (await person.get("sessions")).json()
    assert [one["current"] for one in listed["sessions"]] == [True, False]
    assert set(listed["sessions"][0]) == {"id", "created_at", "last_seen_at", "ip", "user_agent", "current"}
    assert (listed["sessions"][0]["ip"], listed["next_cursor"]) == ("127.0.0.1", None)

    page = (await person.get("sessions?limit=1")).json()
    assert [one["current"] for one in page["sessions"]] == [True]
    rest = (await person.get(f"sessions?limit=1&cursor={page['next_cursor']}")).json()
    assert ([one["id"] for one in rest["sessions"]], rest["next_cursor"]) == ([listed["sessions"][1]["id"]], None)
    assert _code(await person.get("sessions?cursor=nonsense")) == (400, "invalid_cursor")

    older = listed["sessions"][1]["id"]
    for _ in range(2):
        assert (await person.http.delete(f"/auth/sessions/{older}", headers=person.headers)).status_code == 204
        assert _code(await person.get(token=first)) == (401, "unauthenticated")
    unknown = "00000000-0000-4000-8000-000000000000"
    answer = await person.http.delete(f"/auth/sessions/{unknown}", headers=person.headers)
    assert _code(answer) == (404, "not_found")
    assert (await person.http.delete("/auth/sessions/x", headers=person.headers)).status_code == 422


async def test_somebody_elses_session_is_none_of_ones_business(new_person: NewPerson) -> None:
    one, other = await new_person().register(), await new_person().register()
    theirs = (await other.get("sessions")).json()["sessions"][0]["id"]
    answer = await one.http.delete(f"/auth/sessions/{theirs}", headers=one.headers)
    assert _code(answer) == (404, "not_found")
    assert (await other.get()).status_code == 200


async def test_logout_ends_this_session_and_logout_all_every(person: Person) -> None:
    await person.register()
    first = person.token
    await person.login()
    assert (await person.post("logout", session=True)).status_code == 204
    assert _code(await person.get()) == (401, "unauthenticated")
    assert _code(await person.post("logout", session=True)) == (401, "unauthenticated")
    assert (await person.get(token=first)).status_code == 200

    await person.login()
    assert (await person.post("logout-all", session=True)).status_code == 204
    assert _code(await person.get()) == _code(await person.get(token=first)) == (401, "unauthenticated")


SPOILED: list[Callable[[str], str]] = [
    lambda _: "x",
    lambda token: token[:-1],
    lambda token: token[:-2] + "AA",
    lambda token: token.replace(".", ""),
    lambda token: f"k9{token[token.index('.') :]}",
    lambda token: token * 9,
]


@pytest.mark.parametrize("spoil", SPOILED)
async def test_token_that_is_not_ours_makes_no_trip(
    person: Person, rest: RestServer, spoil: Callable[[str], str]
) -> None:
    await person.register()
    await rest.reset_counters()
    for headers in ({"X-Session-Id": spoil(person.token)}, {"Authorization": f"Bearer {spoil(person.token)}"}):
        answer = await person.http.get("/auth/session", headers=headers)
        assert _code(answer) == (401, "unauthenticated")
    assert rest.requests == 0


async def test_bearer_is_taken_too(person: Person) -> None:
    await person.register()
    answer = await person.http.get("/auth/session", headers={"Authorization": f"Bearer {person.token}"})
    assert answer.status_code == 200
