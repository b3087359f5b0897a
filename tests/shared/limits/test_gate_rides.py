"""What rides with the gate: several cached values and a part of a script, once the request is admitted.

Annotations are evaluated here (no `from __future__`): a gate is made of what a function is called with.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Request

from shared.http.app import create_app
from shared.limits import policies
from shared.limits.gate import Call, gate
from shared.upstash import keys
from tests.support import new_token, serve
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

FOLDER = Path(__file__).parent
RIDDEN = "temp:ridden"
router = APIRouter(prefix="/rides")


@dataclass(frozen=True)
class Value:
    """A read of one value; of none where the request says so."""

    name: str

    def key(self, request: Request) -> str | None:
        return None if self.name in request.query_params.getlist("without") else keys.key(keys.TEMP, self.name)


@dataclass(frozen=True)
class Ride:
    parts: Sequence[Path]

    def keys(self) -> list[str]:
        return [keys.key(keys.TEMP, "ridden"), keys.key(keys.TEMP, "another")]

    def arguments(self, request: Request) -> list[str]:
        return request.query_params.getlist("say")


ECHO, FAILS = Ride([FOLDER / "ride_echo.lua"]), Ride([FOLDER / "ride_fails.lua"])
READS = [(), (Value("a"),), (Value("a"), Value("b"))]


def _add(path: str, **declared: Any) -> None:
    @router.post(path, name=path)
    async def show(call: Annotated[Call, gate(**declared)]) -> dict[str, Any]:
        fetched = [call.fetched, *call.others]
        return {
            "ridden": call.ridden,
            "keys": [one.key for one in fetched],
            "values": [one.raw for one in fetched],
            "user": call.session.user_id if call.session else None,
        }


for count, read in enumerate(READS):
    _add(f"/anyone/{count}", policy=policies.PUBLIC, read=read, ride=ECHO)
    _add(f"/maybe/{count}", policy=policies.API, read=read, ride=ECHO, session=None)
    _add(f"/user/{count}", policy=policies.API, read=read, ride=ECHO, session=True)
    _add(f"/alone/{count}", policy=policies.API, read=read, session=True)
_add("/fails", policy=policies.PUBLIC, ride=FAILS)
_add("/fails/closed", policy=policies.PAYMENT, ride=FAILS, session=True)
_add("/one", policy=policies.PUBLIC, read=Value("a"))


@pytest.fixture
async def rides(digis: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in as luna where a header says so."""
    async with serve(create_app("rides", router)) as http:
        yield http


@pytest.fixture
async def luna(digis: httpx.AsyncClient) -> dict[str, str]:
    return {"X-Session-Id": await new_token("luna")}


async def _fill(rest: RestServer) -> None:
    for name in "ab":
        await rest.command("SET", f"temp:{name}", f"1v9999999999999:abc::0\n{name}!", "EX", "60")


@pytest.mark.parametrize("reads", [0, 1, 2])
async def test_ride_and_reads_come_back_whoever_calls(
    rides: httpx.AsyncClient, rest: RestServer, luna: dict[str, str], reads: int
) -> None:
    await _fill(rest)
    expected: list[str | None] = [f"1v9999999999999:abc::0\n{name}!" for name in "ab"[:reads]]
    named: list[str | None] = [f"temp:{name}" for name in "ab"[:reads]]
    if not reads:
        expected, named = [None], [None]
    for turn, (kind, headers) in enumerate([("anyone", {}), ("maybe", {}), ("maybe", luna), ("user", luna)], 1):
        for say in ([], ["x"], ["x", "", "ü\n:1"]):
            await rest.command("DEL", RIDDEN)
            answer = await rides.post(f"/rides/{kind}/{reads}", params={"say": say}, headers=headers)
            assert answer.status_code == 200, (turn, answer.text)
            assert answer.json()["ridden"] == [1, 2, len(say), *say]
            assert (answer.json()["values"], answer.json()["keys"]) == (expected, named)
            assert (answer.json()["user"] is not None) == bool(headers)
        await rest.reset_counters()
        await rides.post(f"/rides/{kind}/{reads}", headers=headers)
        assert rest.requests == 1
    answer = await rides.post(f"/rides/alone/{reads}", headers=luna)
    assert (answer.json()["ridden"], answer.json()["values"]) == (None, expected)


async def test_read_that_a_request_cannot_name_leaves_the_others_in_their_places(
    rides: httpx.AsyncClient, rest: RestServer, luna: dict[str, str]
) -> None:
    await _fill(rest)
    a, b = (f"1v9999999999999:abc::0\n{name}!" for name in "ab")
    for without, expected in (([], [a, b]), (["a"], [None, b]), (["b"], [a, None]), (["a", "b"], [None, None])):
        for kind, headers in (("anyone", {}), ("user", luna)):
            params = {"without": without, "say": ["x"]}
            answer = await rides.post(f"/rides/{kind}/2", params=params, headers=headers)
            assert answer.json()["values"] == expected
            assert answer.json()["ridden"][1:] == [2, 1, "x"]
    assert (await rides.post("/rides/one")).json()["values"] == [a]


async def test_missing_values_are_leased_each_to_one_caller(rides: httpx.AsyncClient, rest: RestServer) -> None:
    first = (await rides.post("/rides/anyone/2")).json()
    assert (first["values"], first["ridden"][0]) == ([None, None], 1)
    leases = [await rest.command("GET", f"temp:{name}") for name in "ab"]
    assert all(lease.startswith(b"1l0::") for lease in leases)
    second = (await rides.post("/rides/anyone/2")).json()
    assert second["values"] == [lease.decode() for lease in leases]


async def test_denied_runs_no_ride_and_looks_nothing_up(
    rides: httpx.AsyncClient, rest: RestServer, luna: dict[str, str]
) -> None:
    for kind, headers, quota in (("anyone", {}, 1000), ("user", luna, 300)):
        await rides.post(f"/rides/{kind}/2", headers=headers)
        for bucket in await rest.command("KEYS", "rate:*"):
            index = (await rest.command("GET", bucket.decode())).decode().split(":")[0]
            await rest.command("SET", bucket.decode(), f"{index}:{quota}:{quota}")
        await rest.command("DEL", RIDDEN, "temp:a", "temp:b")
        denied = await rides.post(f"/rides/{kind}/2", headers=headers)
        assert (denied.status_code, denied.json()["code"]) == (429, "rate_limited")
        assert await rest.command("EXISTS", RIDDEN, "temp:a", "temp:b") == 0
        await rest.command("DEL", *(bucket.decode() for bucket in await rest.command("KEYS", "rate:*")))


async def test_no_session_where_one_is_a_must_makes_no_trip(rides: httpx.AsyncClient, rest: RestServer) -> None:
    await rest.reset_counters()
    for headers in ({}, {"X-Session-Id": "forged"}):
        assert (await rides.post("/rides/user/2", headers=headers)).status_code == 401
    assert (rest.requests, await rest.command("EXISTS", RIDDEN)) == (0, 0)


async def test_scripts_that_were_forgotten_are_sent_again(rides: httpx.AsyncClient, rest: RestServer) -> None:
    for runs in range(1, 4):
        await rest.command("SCRIPT", "FLUSH")
        answer = await rides.post("/rides/anyone/1?say=x")
        assert (answer.status_code, answer.json()["ridden"]) == (200, [runs, 2, 1, "x"])
        assert int(answer.headers["x-ratelimit-remaining"]) in {1000 - runs, 1001 - runs}, "charged once"
        assert "x-ratelimit-mode" not in answer.headers


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.ERROR_500])
async def test_with_upstash_out_nothing_was_ridden(
    rides: httpx.AsyncClient, rest: RestServer, luna: dict[str, str], mode: Mode
) -> None:
    await rest.faults.set(mode)
    for kind, headers in (("anyone", {}), ("maybe", {}), ("user", luna)):
        answer = await rides.post(f"/rides/{kind}/2", headers=headers)
        assert (answer.status_code, answer.headers["x-ratelimit-mode"]) == (200, "local")
        assert (answer.json()["ridden"], answer.json()["values"]) == (None, [None, None])
        assert answer.json()["keys"] == ["temp:a", "temp:b"]


async def test_ride_that_fails_is_no_verdict_and_no_500(
    rides: httpx.AsyncClient, rest: RestServer, luna: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    await rest.command("SET", RIDDEN, "a string", "EX", "60")
    for command in ("HGETALL", "NOTACOMMAND"):
        answer = await rides.post(f"/rides/fails?say={command}")
        assert (answer.status_code, answer.json()["ridden"]) == (200, None)
        assert answer.headers["x-ratelimit-mode"] == "local"
    assert "the limiter got no verdict" in caplog.text
    answer = await rides.post("/rides/fails/closed?say=HGETALL", headers=luna)
    assert (answer.status_code, answer.json()["code"]) == (503, "rate_limiter_unavailable")
    answer = await rides.post("/rides/fails?say=GET")
    assert (answer.json()["ridden"], "x-ratelimit-mode" in answer.headers) == ("a string", False)
    answer = await rides.post("/rides/fails?say=nothing")
    assert (answer.status_code, answer.json()["ridden"], "x-ratelimit-mode" in answer.headers) == (200, None, False)
