"""Whatever body is sent to sign-in, and whatever token with it, is answered with a 4xx problem and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Post
from tests.functions.auth.conftest import NewPerson
from tests.functions.auth.people import forget_limits
from tools.local.rest.server import RestServer

FIELDS = ("email", "username", "password", "display_name", "creator", "device_token", "purpose", "code", "reset_token")
PATHS = ("register", "login", "otp/request", "otp/verify", "password/reset", "logout", "logout-all")
GOOD = {"email": "a@digis.test", "username": "some_body", "password": "long enough it is", "purpose": "login"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    path=st.sampled_from(PATHS),
    changes=st.dictionaries(st.sampled_from(FIELDS), anything, max_size=4),
    token=st.text(max_size=20),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_body_is_a_5xx(
    digis: httpx.AsyncClient, rest: RestServer, post: Post, path: str, changes: dict[str, Any], token: str
) -> None:
    await forget_limits(rest)
    headers = {"Content-Type": "application/json", "X-Session-Id": token.encode("utf-8", "replace").hex()}
    answer = await digis.post(f"/auth/{path}", content=json.dumps(GOOD | changes), headers=headers)
    assert answer.status_code < 500, (path, changes)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] in {
            *("validation_failed", "malformed_json", "unauthenticated", "invalid_credentials", "invalid_code"),
            *("email_taken", "username_taken"),
        }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"email": NaN}',
        b'{"email": "\\ud800@digis.test", "password": "x"}',
        b"[" * 100_000,
        b'{"email":' * 20_000,
        b"\xef\xbb\xbf{}",
    ],
)
async def test_no_json_is_said_to_be_none(digis: httpx.AsyncClient, rest: RestServer, body: bytes) -> None:
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"):
        await forget_limits(rest)
        answer = await digis.post("/auth/login", content=body, headers={"Content-Type": kind})
        assert answer.status_code in {400, 422}, (kind, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_no_header_is_a_5xx(new_person: NewPerson) -> None:
    person = await new_person().register()
    for value in (
        "Bearer",
        "Bearer ",
        "bearer a b c",
        "Basic YTpi",
        "\xff" * 10,
        "x" * 8000,
        f"Bearer {person.token} x",
    ):
        for name in ("Authorization", "X-Session-Id"):
            answer = await person.http.get("/auth/session", headers=[(name.encode(), value.strip().encode("latin-1"))])
            assert answer.status_code == 401, (name, value)
    twice = [(b"X-Session-Id", person.token.encode()), (b"X-Session-Id", b"another")]
    assert (await person.http.get("/auth/session", headers=twice)).status_code in {200, 401}
    agent = {"User-Agent": "\xfe\xff" * 500}
    body = {"email": person.email, "password": person.password}
    encoded = [(b"User-Agent", agent["User-Agent"].encode("latin-1"))]
    assert (await person.http.post("/auth/login", json=body, headers=encoded)).status_code == 200
