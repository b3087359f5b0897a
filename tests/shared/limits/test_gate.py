"""The gate over HTTP: each policy at its number, all tiers or none, and nothing unlimited when Redis is out."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from shared.limits import gate, policies
from shared.limits.local import MemoryLimiter
from tests.shared.limits.app import make_app
from tests.support import forget_process_state, serve
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

USER = {"X-Test-User": "u1"}
BREAKING = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.CUT, Mode.LOST, Mode.SLOW]
CLOSED = [policy for policy in policies.ALL if policy.when_out is policies.WhenOut.CLOSED]
LOCAL = [policy for policy in policies.ALL if policy.when_out is policies.WhenOut.LOCAL]
NUMBERS = {
    "auth": (5, 900, "closed"),
    "payment": (10, 60, "closed"),
    "token": (20, 3600, "closed"),
    "streaming": (100, 60, "local"),
    "upload": (30, 3600, "local"),
    "analytics": (200, 60, "local"),
    "api": (300, 60, "local"),
    "public": (1000, 60, "local"),
}


async def _many(http: httpx.AsyncClient, path: str, count: int, **headers: str) -> list[httpx.Response]:
    """`count` requests, a few at a time."""
    free = asyncio.Semaphore(20)

    async def one() -> httpx.Response:
        async with free:
            return await http.post(path, headers=headers)

    return await asyncio.gather(*(one() for _ in range(count)))


async def _window_index(rest: RestServer, policy: policies.Policy) -> int:
    seconds, _ = await rest.command("TIME")
    return int(seconds) // policy.window


def test_policies_have_the_designs_numbers() -> None:
    found = {policy.name: (policy.quota, policy.window, policy.when_out.value) for policy in policies.ALL}
    assert found == NUMBERS


@pytest.mark.slow
@pytest.mark.parametrize("policy", policies.ALL, ids=lambda policy: policy.name)
async def test_policy_admits_its_quota_and_not_one_more(
    limited: httpx.AsyncClient, rest: RestServer, policy: policies.Policy
) -> None:
    index = -1
    while index != await _window_index(rest, policy):  # again when a new window began meanwhile
        index = await _window_index(rest, policy)
        await rest.command("FLUSHALL")
        gate.blocked.clear()
        answers = await _many(limited, f"/limited/{policy.name}", policy.quota, **USER)
        denied = await limited.post(f"/limited/{policy.name}", headers=USER)

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers) == list(range(policy.quota))
    assert denied.status_code == 429
    assert denied.json()["code"] == "rate_limited"
    name, quota, window, wait = policy.name, policy.quota, policy.window, int(denied.headers["retry-after"])
    for answer in (answers[0], denied):
        assert answer.headers["ratelimit-policy"] == f'"{name}";q={quota};w={window}'
        assert answer.headers["x-ratelimit-limit"] == str(quota)
        left, reset = answer.headers["x-ratelimit-remaining"], answer.headers["x-ratelimit-reset"]
        assert answer.headers["ratelimit"] == f'"{name}";r={left};t={reset}'
        assert 0 < int(reset) <= 2 * window
        assert "x-ratelimit-mode" not in answer.headers
    assert 0 < wait <= 2 * window
    assert denied.headers["x-ratelimit-reset"] == str(wait)


async def test_two_tiers_admit_together_or_charge_nothing(limited: httpx.AsyncClient, rest: RestServer) -> None:
    """Many users behind one address: the address runs out, and no user is charged for what it was denied."""
    for number in range(policies.PAYMENT.quota):
        answer = await limited.post("/limited/payment", headers={"X-Test-User": f"u{number}"})
        assert answer.status_code == 200
    gate.blocked.clear()
    denied = await limited.post("/limited/payment", headers={"X-Test-User": "another"})

    assert denied.status_code == 429
    assert not await rest.command("KEYS", "rate:payment:user:another")
    one = (await rest.command("GET", "rate:payment:user:u0")).decode()
    assert one.split(":")[1:] == ["1", "0"]


async def test_operations_of_a_policy_have_buckets_of_their_own(limited: httpx.AsyncClient) -> None:
    await _many(limited, "/limited/login", policies.AUTH.quota)
    assert (await limited.post("/limited/login")).status_code == 429
    assert (await limited.post("/limited/auth")).status_code == 200


async def test_account_is_counted_however_its_address_is_written(limited: httpx.AsyncClient, rest: RestServer) -> None:
    for email in ("luna@digis.test", "LUNA@digis.test", " Luna@Digis.test "):
        assert (await limited.post("/limited/auth", json={"email": email})).status_code == 200
    (key,) = await rest.command("KEYS", "rate:auth:account:*")
    assert (await rest.command("GET", key.decode())).split(b":")[1] == b"3"
    assert b"luna" not in key.lower()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"email": 5}', b'{"email": null}', b"\xff", b'{"email": "\\ud800"}'])
async def test_body_without_an_account_counts_for_the_address(
    limited: httpx.AsyncClient, rest: RestServer, body: bytes
) -> None:
    assert (await limited.post("/limited/auth", content=body)).status_code == 200
    assert len(await rest.command("KEYS", "rate:auth:*")) == 1


@pytest.mark.parametrize("name", ["upload", "analytics", "payment", "token"])
async def test_user_policy_without_a_user_is_401_without_a_trip(
    limited: httpx.AsyncClient, rest: RestServer, name: str
) -> None:
    answer = await limited.post(f"/limited/{name}")
    assert (answer.status_code, answer.json()["code"], rest.requests) == (401, "unauthenticated", 0)


async def test_user_else_address(limited: httpx.AsyncClient, rest: RestServer) -> None:
    await limited.post("/limited/api", headers=USER)
    await limited.post("/limited/api")
    kinds = sorted(key.split(b":")[2] for key in await rest.command("KEYS", "rate:api:*"))
    assert kinds == [b"ip", b"user"]


async def test_callers_clock_changes_nothing(
    limited: httpx.AsyncClient, rest: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_time, real_ns = time.time, time.time_ns
    for number, minutes in enumerate((0, -10, 10)):
        monkeypatch.setattr(time, "time", lambda m=minutes: real_time() + 60 * m)
        monkeypatch.setattr(time, "time_ns", lambda m=minutes: real_ns() + 60 * m * 10**9)
        answer = await limited.post("/limited/token", headers=USER)
        assert answer.headers["x-ratelimit-remaining"] == str(policies.TOKEN.quota - 1 - number)
    assert len(await rest.command("KEYS", "rate:token:ip:*")) == 1


# blocked


@pytest.mark.slow
async def test_blocked_identity_costs_no_trip(limited: httpx.AsyncClient, rest: RestServer) -> None:
    answers = await _many(limited, "/limited/token", 10_000 // 10, **USER)
    assert sum(answer.status_code == 200 for answer in answers) == policies.TOKEN.quota
    assert rest.requests <= policies.TOKEN.quota + 20 + 1  # and those that were under way together, and the script

    before = rest.requests
    denied = await limited.post("/limited/token", headers=USER)
    assert (denied.status_code, rest.requests) == (429, before)
    assert int(denied.headers["retry-after"]) > 0


async def test_user_blocked_behind_one_address_does_not_block_the_address(limited: httpx.AsyncClient) -> None:
    await _many(limited, "/limited/upload", policies.UPLOAD.quota + 1, **USER)
    assert (await limited.post("/limited/upload", headers=USER)).status_code == 429
    assert (await limited.post("/limited/upload", headers={"X-Test-User": "u2"})).status_code == 200


# Redis out


@pytest.mark.parametrize("mode", BREAKING)
@pytest.mark.parametrize("policy", CLOSED, ids=lambda policy: policy.name)
async def test_closed_policy_is_503_while_redis_is_out(
    limited: httpx.AsyncClient, rest: RestServer, policy: policies.Policy, mode: Mode
) -> None:
    await rest.faults.set(mode)
    started = time.monotonic()
    answer = await limited.post(f"/limited/{policy.name}", headers=USER)

    assert time.monotonic() - started < 1.5
    assert (answer.status_code, answer.json()["code"]) == (503, "rate_limiter_unavailable")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.slow
@pytest.mark.parametrize("policy", LOCAL, ids=lambda policy: policy.name)
async def test_local_policy_keeps_its_quota_in_memory_while_redis_is_out(
    limited: httpx.AsyncClient, rest: RestServer, policy: policies.Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "stand_in", MemoryLimiter(lambda: 0))  # no new window begins meanwhile
    await rest.faults.set(Mode.REFUSE)
    answers = await _many(limited, f"/limited/{policy.name}", policy.quota + 5, **USER)

    assert sorted(answer.status_code for answer in answers) == [200] * policy.quota + [429] * 5
    assert {answer.headers["x-ratelimit-mode"] for answer in answers} == {"local"}
    denied = next(answer for answer in answers if answer.status_code == 429)
    assert int(denied.headers["retry-after"]) > 0


@pytest.mark.parametrize("name", ["public", "payment"])
async def test_redis_that_answers_nonsense_is_no_verdict(
    limited: httpx.AsyncClient, rest: RestServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("rate:payment:user:u1", "rate:public:ip"):
        await rest.command("RPUSH", key, "not a bucket")
    await limited.post("/limited/public")
    (bucket,) = await rest.command("KEYS", "rate:public:ip:*")
    await rest.command("DEL", bucket.decode())
    await rest.command("RPUSH", bucket.decode(), "not a bucket")
    answer = await limited.post(f"/limited/{name}", headers=USER)

    assert answer.status_code == (200 if name == "public" else 503)
    assert "the limiter got no verdict" in caplog.text


@pytest.mark.parametrize("name", ["public", "payment"])
async def test_not_configured_is_treated_as_out(fresh_process: pytest.MonkeyPatch, name: str) -> None:
    async with serve(make_app()) as http:
        answer = await http.post(f"/limited/{name}", headers=USER)
    assert answer.status_code == (200 if name == "public" else 503)


async def test_wrong_token_is_no_outage_but_no_verdict_either(
    rest: RestServer, limited: httpx.AsyncClient, fresh_process: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    forget_process_state()
    answer = await limited.post("/limited/payment", headers=USER)
    assert answer.status_code == 503
    assert "Upstash answered 401" in caplog.text


async def test_it_is_back_within_three_seconds_of_redis(limited: httpx.AsyncClient, rest: RestServer) -> None:
    await rest.faults.set(Mode.ERROR_500)
    answers = await _many(limited, "/limited/payment", 30, **USER)
    assert {answer.status_code for answer in answers} == {503}
    await rest.faults.set(Mode.OK)
    back = time.monotonic()
    while (await limited.post("/limited/payment", headers=USER)).status_code != 200:
        assert time.monotonic() - back < 3
        await asyncio.sleep(0.05)
