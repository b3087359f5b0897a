"""Idempotency keys over HTTP: one request, however often it is sent, has one effect and one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from shared.limits.gate import blocked
from tests.functions.auth.people import forget_limits
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.people import Buyer, code_of
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

LUNA = str(demo_id("luna"))
CHARGE: dict[str, Any] = {"creator_id": LUNA, "tokens": 5, "kind": "tip"}


@dataclass(frozen=True)
class Route:
    path: str
    body: dict[str, Any]
    another: dict[str, Any]


ROUTES = [
    Route("charge", CHARGE, CHARGE | {"tokens": 6}),
    Route("tokens/purchase", {"package_id": "t100"}, {"package_id": "t500"}),
]
both = pytest.mark.parametrize("route", ROUTES, ids=["charge", "purchase"])


def _is_replay(answer: httpx.Response) -> bool:
    return str(answer.headers.get("idempotency-replayed")) == "true"


async def _counts(owner: asyncpg.Connection[Any]) -> tuple[int, int]:
    """The charges that the demo data did not have, and the purchases."""
    sql = """SELECT (SELECT count(*) FROM charges WHERE created_at > now() - interval '5 minutes') AS charges,
                    (SELECT count(*) FROM purchases) AS purchases"""
    row = await owner.fetchrow(sql)
    assert row is not None
    return row["charges"], row["purchases"]


@both
async def test_repeat_is_the_first_answer_byte_for_byte_and_does_nothing(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any], route: Route
) -> None:
    first = await fan.post(route.path, route.body, "key")
    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    counts, calls = await _counts(owner), stripe.requests
    assert counts in {(1, 0), (0, 1)}
    for body in (route.body, dict(reversed(route.body.items())), route.body | {"unknown": 1}):
        again = await fan.post(route.path, body, "key")
        assert (again.status_code, again.content, _is_replay(again)) == (201, first.content, True)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert int(again.headers["x-ratelimit-remaining"]) < int(first.headers["x-ratelimit-remaining"]), "is charged"
    assert (await _counts(owner), stripe.requests) == (counts, calls)


@both
async def test_same_key_with_another_body_is_422_and_the_first_answer_stays(
    fan: Buyer, owner: asyncpg.Connection[Any], route: Route
) -> None:
    first = await fan.post(route.path, route.body, "key")
    counts = await _counts(owner)
    for _ in range(2):
        answer = await fan.post(route.path, route.another, "key")
        assert (code_of(answer), _is_replay(answer)) == ((422, "idempotency_key_reused"), False)
    assert (await fan.post(route.path, route.body, "key")).content == first.content
    assert await _counts(owner) == counts
    assert (await fan.post(route.path, route.another, "KEY")).status_code == 201, "keys are told apart by their case"


async def test_defaults_are_the_same_request_as_what_they_stand_for(fan: Buyer) -> None:
    first = await fan.post("charge", CHARGE, "key")
    for body in (CHARGE | {"note": None}, CHARGE | {"creator_id": LUNA.upper()}):
        assert (await fan.post("charge", body, "key")).content == first.content
    for body in (CHARGE | {"note": ""}, CHARGE | {"kind": "call"}, CHARGE | {"creator_id": str(demo_id("mika"))}):
        assert code_of(await fan.post("charge", body, "key")) == (422, "idempotency_key_reused")
    assert await fan.tokens() == 9_995


@both
async def test_key_is_the_users_and_the_routes(
    fan: Buyer, new_buyer: NewBuyer, owner: asyncpg.Connection[Any], route: Route
) -> None:
    other = await new_buyer("fan2")
    first = await fan.post(route.path, route.body, "key")
    theirs = await other.post(route.path, route.body, "key")
    assert (first.status_code, theirs.status_code, _is_replay(theirs)) == (201, 201, False)
    (elsewhere,) = (one for one in ROUTES if one is not route)
    assert (await fan.post(elsewhere.path, elsewhere.body, "key")).status_code == 201
    assert await _counts(owner) in {(2, 1), (1, 2)}


async def test_refusal_that_was_decided_is_repeated_though_it_would_be_decided_otherwise_now(
    fan: Buyer, luna: Buyer, owner: asyncpg.Connection[Any]
) -> None:
    await owner.execute("UPDATE users SET status = 'suspended' WHERE username = 'mika'")
    refused = [
        (fan, CHARGE | {"tokens": 10_050}, (402, "insufficient_tokens")),
        (fan, CHARGE | {"creator_id": str(demo_id("mika"))}, (404, "creator_not_found")),
        (luna, CHARGE, (422, "self_charge")),
    ]
    for number, (who, body, code) in enumerate(refused):
        first = await who.post("charge", body, f"key-{number}")
        assert (code_of(first), _is_replay(first)) == (code, False)
    await fan.buy("t100")
    await owner.execute("UPDATE users SET status = 'active'")
    for number, (who, body, code) in enumerate(refused):
        again = await who.post("charge", body, f"key-{number}")
        assert (code_of(again), _is_replay(again)) == (code, True)
        assert again.headers["content-type"] == "application/problem+json"
        assert again.json()["request_id"] == again.headers["x-request-id"], "this request's, not the first one's"
    assert (await fan.post("charge", refused[0][1], "new")).status_code == 201
    assert (await fan.post("charge", refused[1][1], "newer")).status_code == 201


async def test_what_was_not_decided_is_not_recorded(
    fan: Buyer, rest: RestServer, owner: asyncpg.Connection[Any]
) -> None:
    for route in ROUTES:
        assert (await fan.post(route.path, {"x": 1}, "key")).status_code == 422, "of no form"
        nobody = {"Idempotency-Key": "key"}
        answer = await fan.http.post(f"/payments/{route.path}", json=route.body, headers=nobody)
        assert answer.status_code == 401
        await owner.execute("UPDATE users SET status = 'closed' WHERE username = 'fan'")
        assert code_of(await fan.post(route.path, route.body, "key")) == (403, "account_inactive")
        await owner.execute("UPDATE users SET status = 'active' WHERE username = 'fan'")
        for limit in [key.decode() for key in await rest.command("KEYS", "rate:*")]:
            index = int((await rest.command("GET", limit)).split(b":")[0])
            await rest.command("SET", limit, f"{index + 1}:99:99")
        assert code_of(await fan.post(route.path, route.body, "key")) == (429, "rate_limited")
        await forget_limits(rest)
        assert await owner.fetchval("SELECT count(*) FROM idempotency_keys WHERE route = $1", route.path[-8:]) == 0
        answer = await fan.post(route.path, route.body, "key")
        assert (answer.status_code, _is_replay(answer)) == (201, False)


async def test_503_of_the_provider_is_not_recorded_and_a_repeat_goes_on(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await stripe.faults.set(Mode.DOWN)
    for _ in range(2):
        answer = await fan.purchase("t100", "key")
        assert code_of(answer) == (503, "payment_provider_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert not _is_replay(answer)
    other_body = await fan.purchase("t500", "key")
    assert code_of(other_body) == (422, "idempotency_key_reused"), "it is the request that was begun"
    await stripe.faults.set(Mode.OK)
    answer = await fan.purchase("t100", "key")
    assert (answer.status_code, _is_replay(answer)) == (201, False)
    (row,) = await owner.fetch("SELECT id FROM purchases")
    assert answer.json()["purchase"]["id"] == str(row["id"])
    assert len(stripe.payment_intents) == 1


async def test_replay_is_what_was_answered_and_not_how_things_stand(fan: Buyer) -> None:
    first = await fan.purchase("t100", "key")
    purchase = first.json()["purchase"]
    fan.stripe.confirm(purchase["client_secret"].partition("_secret_")[0])
    await fan.stripe.delivered()
    assert await fan.purchase_status(purchase["id"]) == "paid"
    assert (await fan.purchase("t100", "key")).content == first.content
    charge = await fan.post("charge", CHARGE, "key")
    await fan.post("charge", CHARGE, "another")
    assert (await fan.post("charge", CHARGE, "key")).json()["balance"] == charge.json()["balance"]


@both
async def test_key_older_than_30_days_is_forgotten_and_one_that_is_not_is_kept(
    fan: Buyer, owner: asyncpg.Connection[Any], route: Route
) -> None:
    first = await fan.post(route.path, route.body, "key")
    await owner.execute("UPDATE idempotency_keys SET created_at = now() - interval '29 days 23 hours'")
    assert (await fan.post(route.path, route.body, "key")).content == first.content
    assert code_of(await fan.post(route.path, route.another, "key")) == (422, "idempotency_key_reused")
    await owner.execute("UPDATE idempotency_keys SET created_at = now() - interval '30 days 1 minute'")
    anew = await fan.post(route.path, route.another, "key")
    assert (anew.status_code, _is_replay(anew)) == (201, False)
    assert anew.content != first.content
    assert (await fan.post(route.path, route.another, "key")).content == anew.content, "kept for 30 days again"
    assert await owner.fetchval("SELECT count(*) FROM idempotency_keys") == 1
    blocked.clear()


async def test_key_that_was_forgotten_is_in_flight_again_while_its_purchase_is(
    fan: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await fan.purchase("t100", "key")
    await owner.execute("UPDATE idempotency_keys SET created_at = now() - interval '31 days'")
    await stripe.faults.set(Mode.DOWN)
    assert (await fan.purchase("t100", "key")).status_code == 503
    await stripe.faults.set(Mode.OK)
    assert (await fan.purchase("t100", "key")).status_code == 201
    assert await _counts(owner) == (0, 2), "the first, and the one that was begun after 31 days"
