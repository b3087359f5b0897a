"""The gate of operators and of the scheduler: who has the token is counted by address, who guesses it is slowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Request

from shared import devices
from shared.http.app import create_app
from shared.limits import gate, policies
from shared.limits.gate import Call
from shared.limits.operators import is_secret, operator_gate
from shared.settings import settings
from tests.support import close_clients, forget_process_state, serve
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

SECRET = "the right one"
RIGHT = {"Authorization": f"Bearer {SECRET}"}
API = '"api";q=300;w=60'
GUESSES = '"auth";q=5;w=900'
WRONG: dict[str, dict[str, Any]] = {
    "none": {},
    "empty": {"Authorization": ""},
    "no token": {"Authorization": "Bearer"},
    "another": {"Authorization": "Bearer another"},
    "its beginning": {"Authorization": f"Bearer {SECRET[:-1]}"},
    "and more": {"Authorization": f"Bearer {SECRET}s"},
    "in capitals": {"Authorization": f"Bearer {SECRET.upper()}"},
    "without a scheme": {"Authorization": SECRET},
    "another scheme": {"Authorization": f"Basic {SECRET}"},
    "the scheme twice": {"Authorization": f"Bearer Bearer {SECRET}"},
    "as a session": {"X-Session-Id": SECRET},
    "latin-1": {"Authorization": b"Bearer \xe9\xff"},
    "UTF-8": {"Authorization": f"Bearer {SECRET}\N{SNOWMAN}".encode()},
}
OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT, Mode.LOST]

router = APIRouter(prefix="/operated")


def _is_operator(token: str) -> bool:
    return is_secret(token, settings().cron_secret)


@router.post("")
async def run(_: Annotated[Call, operator_gate(_is_operator)], request: Request) -> dict[str, int]:
    return {"read": len(await request.body())}


@pytest.fixture
async def operated(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "300")
    fresh_process.setenv("CRON_SECRET", SECRET)
    forget_process_state()
    async with serve(create_app("operated", router)) as http:
        yield http
    await close_clients()


async def _send(http: httpx.AsyncClient, headers: dict[str, Any], body: Any = None) -> httpx.Response:
    return await http.post("/operated", headers=headers, json=body)


async def _tiers(rest: RestServer) -> list[str]:
    """What was counted: the family and the tier of each key."""
    return sorted(key.decode().rpartition(":")[0] for key in await rest.command("KEYS", "rate:*"))


def _assert_refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "operator_required")
    assert answer.headers["ratelimit-policy"] == GUESSES


@pytest.mark.parametrize("text", [f"Bearer {SECRET}", f"bearer {SECRET}", f"BEARER   {SECRET}"])
async def test_right_token_is_let_in_and_counted_by_address(
    operated: httpx.AsyncClient, rest: RestServer, text: str
) -> None:
    for remaining in (299, 298):
        answer = await _send(operated, {"Authorization": text})
        assert (answer.status_code, answer.json()) == (200, {"read": 0})
        assert answer.headers["ratelimit-policy"] == API
        assert answer.headers["x-ratelimit-remaining"] == str(remaining)
        assert "x-ratelimit-mode" not in answer.headers
    assert await _tiers(rest) == ["rate:api:ip"]


@pytest.mark.parametrize("name", WRONG)
async def test_whoever_has_it_not_is_401_and_counted_as_a_guess(
    operated: httpx.AsyncClient, rest: RestServer, name: str
) -> None:
    answer = await _send(operated, WRONG[name])
    _assert_refused(answer)
    assert answer.headers["x-ratelimit-remaining"] == "4"
    assert answer.headers["content-type"] == "application/problem+json"
    assert SECRET not in answer.text
    assert await _tiers(rest) == ["rate:auth.operator:ip"]


async def test_each_makes_one_trip_and_who_is_blocked_none(operated: httpx.AsyncClient, rest: RestServer) -> None:
    await _send(operated, RIGHT)  # the script is known from here on
    for headers, trips in ((RIGHT, 1), *(({}, 1),) * 6, ({}, 0), (RIGHT, 1)):
        await rest.reset_counters()
        await _send(operated, headers)
        assert rest.requests == trips, headers


async def test_sixth_guess_in_a_quarter_of_an_hour_is_denied_whatever_it_is(
    operated: httpx.AsyncClient, rest: RestServer
) -> None:
    _assert_refused(await _send(operated, {}))
    await _fill(rest, "auth.operator", 1)  # no window ends while the test counts
    for number, headers in enumerate(list(WRONG.values())[:4]):
        answer = await _send(operated, headers)
        _assert_refused(answer)
        assert answer.headers["x-ratelimit-remaining"] == str(3 - number)
    for _ in range(2):
        for headers in WRONG.values():
            answer = await _send(operated, headers)
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
            assert 0 < int(answer.headers["retry-after"]) <= 2 * 900
            assert answer.headers["ratelimit-policy"] == GUESSES
        gate.blocked.clear()  # another process, which asks Redis


async def test_right_token_is_not_blocked_by_what_others_guess_at_the_same_address(
    operated: httpx.AsyncClient, rest: RestServer
) -> None:
    for _ in range(8):
        await _send(operated, {})
    assert (await _send(operated, {})).status_code == 429
    answer = await _send(operated, RIGHT)
    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, "299")
    gate.blocked.clear()
    assert (await _send(operated, RIGHT)).status_code == 200
    assert (await _send(operated, {})).status_code == 429, "and lets nobody else in"


async def test_right_token_too_often_is_429_and_others_may_guess_on(
    operated: httpx.AsyncClient, rest: RestServer
) -> None:
    await _send(operated, RIGHT)
    await _fill(rest, "api", policies.API.quota)
    denied = await _send(operated, RIGHT)
    assert (denied.status_code, denied.headers["ratelimit-policy"]) == (429, API)
    _assert_refused(await _send(operated, {}))


async def test_body_does_not_say_whom_a_guess_counts_for(operated: httpx.AsyncClient, rest: RestServer) -> None:
    email = "luna@digis.test"
    bodies = [
        {"email": email},
        {"email": "mika@digis.test"},
        {"email": email, "device_token": devices.issue(email)},
        {"email": 5, "device_token": [1]},
        [],
    ]
    _assert_refused(await _send(operated, {}, bodies[0]))
    await _fill(rest, "auth.operator", 1)
    for remaining, body in zip((3, 2, 1, 0), bodies[1:], strict=True):
        answer = await _send(operated, {}, body)
        _assert_refused(answer)
        assert answer.headers["x-ratelimit-remaining"] == str(remaining)
    assert await _tiers(rest) == ["rate:auth.operator:ip"]
    for body in bodies:
        assert (await _send(operated, {}, body)).status_code == 429
    assert (await _send(operated, RIGHT, bodies[2])).json()["read"] > 50, "the body is still there to be read"


@pytest.mark.parametrize("secret", ["", None])
async def test_without_a_secret_nobody_is_let_in(
    operated: httpx.AsyncClient, fresh_process: pytest.MonkeyPatch, secret: str | None
) -> None:
    if secret is None:
        fresh_process.delenv("CRON_SECRET")
    else:
        fresh_process.setenv("CRON_SECRET", secret)
    settings.cache_clear()
    # As Lambda has it, which strips no header's value.
    transport = httpx.ASGITransport(create_app("operated", router), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url=operated.base_url) as http:
        for text in ("Bearer ", "Bearer", "", "Bearer None", f"Bearer {SECRET}"):
            _assert_refused(await _send(http, {"Authorization": text}))


@pytest.mark.parametrize("mode", OUT)
async def test_with_upstash_out_guesses_are_503_and_the_right_token_is_served(
    operated: httpx.AsyncClient, rest: RestServer, mode: Mode
) -> None:
    await rest.faults.set(mode)
    for _ in range(3):  # before and after the breaker opens
        guess = await _send(operated, {"Authorization": "Bearer another"})
        assert (guess.status_code, guess.json()["code"]) == (503, "rate_limiter_unavailable")
        assert guess.headers["retry-after"] == "5"
        answer = await _send(operated, RIGHT)
        assert (answer.status_code, answer.headers["x-ratelimit-mode"]) == (200, "local")


def test_secret_is_compared_whole_and_an_empty_one_is_nobodys() -> None:
    assert is_secret(SECRET, SECRET)
    assert is_secret("é\ud800", "é?"), "half a character is none"
    for token in ("", SECRET[:-1], f" {SECRET}", f"{SECRET}\0"):
        assert not is_secret(token, SECRET)
        assert not is_secret(token, "")


async def _fill(rest: RestServer, family: str, count: int) -> None:
    """So many in a window that began a whole one later."""
    (key,) = [key.decode() for key in await rest.command("KEYS", f"rate:{family}:*")]
    index = int((await rest.command("GET", key)).split(b":")[0])
    await rest.command("SET", key, f"{index + 1}:{count}:0")
