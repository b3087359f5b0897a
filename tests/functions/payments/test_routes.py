"""What every route of payments has in common: sessions, the limit's headers, problems; and the ones that only show."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from shared.settings import settings
from tests.functions.payments.people import Buyer, code_of, new_key
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer

LUNA = str(demo_id("luna"))
CHARGE = {"creator_id": LUNA, "tokens": 5, "kind": "tip"}
BOUGHT = "tokens/purchase"
# Method, path, body, policy, quota and window of every route that asks for a session.
WITH_SESSION: list[tuple[str, str, Any, str]] = [
    ("GET", "balance", None, '"api";q=300;w=60'),
    ("GET", "history", None, '"api";q=300;w=60'),
    ("GET", f"purchases/{uuid4()}", None, '"api";q=300;w=60'),
    ("POST", BOUGHT, {"package_id": "t100"}, '"token";q=20;w=3600'),
    ("POST", "charge", CHARGE, '"payment";q=10;w=60'),
]
PACKAGES = [("t100", 100, 999), ("t500", 500, 4499), ("t1000", 1000, 7999), ("t5000", 5000, 34999)]
PROBLEM = {"type", "title", "status", "detail", "instance", "success", "code", "request_id"}
BALANCE = {"tokens", "owed_tokens", "earnings_tokens", "available_tokens", "pending_payout_tokens"}


async def _send(
    http: httpx.AsyncClient, method: str, path: str, body: Any, headers: dict[str, str] | None = None
) -> httpx.Response:
    keyed = {"Idempotency-Key": new_key(), **(headers or {})}
    return await http.request(method, f"/payments/{path}", json=body, headers=keyed)


# Shown


async def test_packages_are_shown_to_anybody_at_the_prices_of_the_contract(digis: httpx.AsyncClient) -> None:
    expected = [{"id": n, "tokens": t, "price_cents": c, "currency": "usd"} for n, t, c in PACKAGES]
    for headers in ({}, {"X-Session-Id": "no session at all"}):
        answer = await digis.get("/payments/packages", headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"success": True, "packages": expected})
        assert answer.headers["ratelimit-policy"] == '"public";q=1000;w=60'
        assert answer.headers["cache-control"] == "no-store"


async def test_balance_of_a_fan_is_tokens_and_of_a_creator_is_earnings(fan: Buyer, luna: Buyer) -> None:
    answer = await fan.get("balance")
    assert answer.json() == {"success": True, "balance": dict.fromkeys(BALANCE, 0) | {"tokens": 10_000}}
    found = await luna.balance()
    assert set(found) == BALANCE
    assert all(type(value) is int for value in found.values())
    assert (found["tokens"], found["owed_tokens"], found["pending_payout_tokens"]) == (0, 0, 0)
    assert 5_000 <= found["available_tokens"] < found["earnings_tokens"], "the last 7 days are held"


async def test_somebody_new_has_nothing_at_all(digis: httpx.AsyncClient) -> None:
    body = {"email": "new@digis.test", "username": "new_here", "password": "long enough it is"}
    token = (await digis.post("/auth/register", json=body)).json()["session"]["token"]
    headers = {"X-Session-Id": token}
    balance = await digis.get("/payments/balance", headers=headers)
    assert balance.json() == {"success": True, "balance": dict.fromkeys(BALANCE, 0)}
    history = await digis.get("/payments/history", headers=headers)
    assert history.json() == {"success": True, "entries": [], "next_cursor": None}
    answer = await _send(digis, "POST", "charge", CHARGE, headers)
    assert code_of(answer) == (402, "insufficient_tokens")


# Sessions


async def test_without_a_session_of_ours_it_is_401_and_makes_no_trip(fan: Buyer, rest: RestServer) -> None:
    head, _, tail = fan.token.rpartition(".")
    forged, spoilt = f"{head}.{'A' * len(tail)}", fan.token[:-2] + fan.token[-1]
    sent = [{}, *({"X-Session-Id": token} for token in ("", "nonsense", forged, spoilt, f"x{fan.token}"))]
    sent += [{"Authorization": value} for value in ("Bearer", f"Bearer {forged}", f"Basic {fan.token}", fan.token)]
    await rest.reset_counters()
    for method, path, body, _ in WITH_SESSION:
        for headers in sent:
            answer = await _send(fan.http, method, path, body, headers)
            assert code_of(answer) == (401, "unauthenticated"), (path, headers)
            assert "ratelimit" not in answer.headers
            assert 'queries;desc="0"' in answer.headers["server-timing"]
    assert (rest.requests, await rest.executed()) == (0, 0)


async def test_session_that_has_ended_is_401_on_every_route(fan: Buyer) -> None:
    await fan.http.post("/auth/logout", headers=fan.headers)
    for method, path, body, _ in WITH_SESSION:
        assert code_of(await _send(fan.http, method, path, body, fan.headers)) == (401, "unauthenticated"), path


async def test_bearer_is_as_good_as_the_header(fan: Buyer) -> None:
    for method, path, body, _ in WITH_SESSION:
        answer = await _send(fan.http, method, path, body, {"Authorization": f"bearer {fan.token}"})
        assert answer.status_code in {200, 201, 404}, path


# What every answer carries


@pytest.mark.parametrize(("method", "path", "body", "policy"), WITH_SESSION[2:])
async def test_answer_has_the_limit_a_request_id_and_is_not_to_be_stored(
    fan: Buyer, method: str, path: str, body: Any, policy: str
) -> None:
    answer = await _send(fan.http, method, path, body, fan.headers | {"X-Request-Id": "mine-1"})
    quota, window = re.findall(r"\d+", policy)
    assert answer.headers["ratelimit-policy"] == policy
    name = policy.partition(";")[0]
    found = re.fullmatch(rf"{name};r={int(quota) - 1};t=(\d+)", answer.headers["ratelimit"])
    assert found is not None, answer.headers["ratelimit"]
    assert 0 < int(found[1]) <= int(window)
    assert answer.headers["x-ratelimit-limit"] == quota
    assert answer.headers["x-ratelimit-remaining"] == str(int(quota) - 1)
    assert answer.headers["x-ratelimit-reset"] == found[1]
    assert "x-ratelimit-mode" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == "mine-1"
    assert "idempotency-replayed" not in answer.headers


async def test_problem_has_the_fields_of_the_contract_and_no_others(fan: Buyer) -> None:
    answer = await fan.charge("luna", 10_001)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == PROBLEM
    assert (problem["type"], problem["title"]) == ("urn:digis:problem:insufficient_tokens", "Insufficient tokens")
    assert (problem["status"], problem["instance"]) == (402, "/payments/charge")
    assert (problem["success"], problem["request_id"]) == (False, answer.headers["x-request-id"])
    refused = (await fan.charge("luna", 0)).json()
    assert set(refused) == PROBLEM | {"errors"}
    assert [set(error) for error in refused["errors"]] == [{"field", "message"}]


async def test_other_method_is_405_and_says_which_there_are(digis: httpx.AsyncClient) -> None:
    for method, path, allowed in (
        ("POST", "packages", "GET, HEAD"),
        ("DELETE", "balance", "GET, HEAD"),
        ("PUT", "history", "GET, HEAD"),
        ("GET", BOUGHT, "POST"),
        ("PATCH", f"purchases/{uuid4()}", "GET, HEAD"),
        ("GET", "charge", "POST"),
        ("GET", "webhooks/stripe", "POST"),
    ):
        answer = await digis.request(method, f"/payments/{path}")
        assert code_of(answer) == (405, "method_not_allowed"), path
        assert answer.headers["allow"] == allowed


async def test_path_that_is_not_in_the_contract_is_404(digis: httpx.AsyncClient) -> None:
    for path in ("", "/", "/purchases", "/purchases/", "/tokens", "/charge/", "/webhooks", "/webhooks/stripe/"):
        assert code_of(await digis.get(f"/payments{path}")) == (404, "not_found"), path


async def test_browser_of_an_allowed_origin_may_send_a_key_and_read_whether_it_was_replayed(
    fan: Buyer, fresh_process: pytest.MonkeyPatch
) -> None:
    fresh_process.setenv("ALLOWED_ORIGINS", "https://app.example")
    settings.cache_clear()
    origin = {"Origin": "https://app.example"}
    asked = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
    preflight = await fan.http.options("/payments/charge", headers=asked)
    assert preflight.status_code == 204
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
    answer = await _send(fan.http, "POST", "charge", CHARGE | {"tokens": 10_001}, fan.headers | origin)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "Idempotency-Replayed" in answer.headers["access-control-expose-headers"]


async def test_account_that_is_not_active_moves_no_money(fan: Buyer, owner_url: str) -> None:
    """Its sessions are believed for five minutes; its status is looked at each time."""
    connection = await asyncpg.connect(owner_url)
    for status in ("suspended", "closed"):
        await connection.execute("UPDATE users SET status = $1 WHERE username = 'fan'", status)
        for answer in (await fan.charge("luna", 5), await fan.purchase()):
            assert code_of(answer) == (403, "account_inactive")
            assert answer.headers["x-ratelimit-limit"] in {"10", "20"}
    assert await connection.fetchval("SELECT count(*) FROM purchases") == 0
    await connection.execute("UPDATE users SET status = 'active'")
    await connection.close()
    assert fan.stripe.requests == 0
    assert (await fan.charge("luna", 5)).status_code == 201
