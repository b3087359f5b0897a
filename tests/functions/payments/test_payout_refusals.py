"""Payouts refused before any money is looked at: by session, by method, by who asks, and while one is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from functions.payments import payouts
from tests.functions.auth.people import forget_limits
from tests.functions.payments.people import Buyer, code_of, new_key
from tools.local.rest.faults import Mode as RestMode
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

ASKED = {"tokens": 1000}
ROUTES = [("POST", "payouts"), ("GET", "payouts"), ("POST", "payout-account")]


@pytest.fixture(autouse=True)
async def all_is_told(digis: httpx.AsyncClient, stripe: FakeStripe) -> AsyncIterator[None]:
    """At the end every webhook has arrived."""
    yield
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()


def _assert_busy(answer: httpx.Response, code: str) -> None:
    assert code_of(answer) == (409, code)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "idempotency-replayed" not in answer.headers


async def test_without_a_session_it_is_401_and_makes_no_trip(luna: Buyer, rest: RestServer) -> None:
    await rest.reset_counters()
    for method, path in ROUTES:
        for headers in ({}, {"X-Session-Id": "nonsense"}, {"X-Session-Id": luna.token[:-2]}):
            keyed = {"Idempotency-Key": new_key(), **headers}
            answer = await luna.http.request(method, f"/payments/{path}", headers=keyed)
            assert code_of(answer) == (401, "unauthenticated"), (path, headers)
    assert rest.requests == 0


async def test_other_method_is_405_and_says_which_there_are(luna: Buyer) -> None:
    for method, path, allowed in (
        ("DELETE", "payouts", {"GET", "HEAD", "POST"}),
        ("GET", "payout-account", {"POST"}),
        ("PUT", "reconcile", {"GET", "HEAD", "POST"}),
    ):
        answer = await luna.http.request(method, f"/payments/{path}", headers=luna.headers)
        assert code_of(answer) == (405, "method_not_allowed"), path
        assert set(answer.headers["allow"].split(", ")) == allowed


async def test_session_that_has_ended_pays_nothing_out(luna: Buyer, owner: asyncpg.Connection[Any]) -> None:
    await luna.http.post("/auth/logout", headers=luna.headers)
    for method, path in ROUTES:
        answer = await luna.http.request(method, f"/payments/{path}", headers=luna.headers, json=ASKED)
        assert code_of(answer) == (401, "unauthenticated")
    assert await owner.fetchval("SELECT count(*) FROM payouts") == 0


# Decided, and recorded


async def test_refusal_for_want_of_earnings_is_repeated_though_there_are_enough_now(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    available = (await luna.balance())["available_tokens"]
    refused = await luna.post("payouts", {"tokens": available + 10}, "key")
    assert (code_of(refused), "idempotency-replayed" in refused.headers) == ((402, "insufficient_earnings"), False)
    assert "retry-after" not in refused.headers
    await owner.execute(
        """WITH given AS (INSERT INTO ledger_transfers (kind, created_at) VALUES ('grant', now() - interval '30 days')
                          RETURNING id, created_at)
           INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
           SELECT g.id, a.id, CASE WHEN a.user_id IS NULL THEN -10 ELSE 10 END, g.created_at
             FROM given g, ledger_accounts a
            WHERE a.kind = 'issued' OR (a.kind = 'earnings' AND a.user_id = $1::uuid)""",
        luna.user_id,
    )
    again = await luna.post("payouts", {"tokens": available + 10}, "key")
    assert code_of(again) == (402, "insufficient_earnings")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["request_id"] == again.headers["x-request-id"]
    assert not stripe.transfers
    assert (await luna.post("payouts", {"tokens": available + 10})).status_code == 201


# Who asks


async def test_fan_is_no_creator_and_sends_nothing(fan: Buyer, stripe: FakeStripe) -> None:
    for answer in (await fan.post("payouts", ASKED), await fan.post("payout-account", None)):
        assert code_of(answer) == (403, "not_a_creator")
    assert stripe.requests == 0


async def test_creator_who_has_not_proven_their_address_is_told_so_and_may_do_it_and_ask_again(
    luna: Buyer, owner: asyncpg.Connection[Any]
) -> None:
    await owner.execute("UPDATE users SET email_verified_at = NULL WHERE username = 'luna'")
    assert code_of(await luna.post("payouts", ASKED, "key")) == (403, "email_unverified")
    await owner.execute("UPDATE users SET email_verified_at = now() WHERE username = 'luna'")
    answer = await luna.post("payouts", ASKED, "key")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


async def test_account_that_is_not_active_is_paid_nothing(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    for status in ("suspended", "closed"):
        await owner.execute("UPDATE users SET status = $1 WHERE username = 'luna'", status)
        for answer in (await luna.post("payouts", ASKED, "key"), await luna.post("payout-account", None)):
            assert code_of(answer) == (403, "account_inactive")
    assert stripe.requests == 0
    await owner.execute("UPDATE users SET status = 'active' WHERE username = 'luna'")
    assert (await luna.post("payouts", ASKED, "key")).status_code == 201


# One at a time


async def test_while_one_is_open_another_is_409_and_the_same_key_is_possible_later(
    luna: Buyer, stripe: FakeStripe
) -> None:
    stripe.webhooks.set(Delivery.HELD)
    assert (await luna.post("payouts", ASKED)).status_code == 201
    for tokens in (1000, 400_000_000):  # nothing is decided of whether it would do
        _assert_busy(await luna.post("payouts", {"tokens": tokens}, f"key-{tokens}"), "payout_in_progress")
    assert len(stripe.transfers) == 1
    await stripe.delivered()
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()
    answer = await luna.post("payouts", ASKED, "key-1000")
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


async def test_while_the_lock_is_held_it_is_409_and_nothing_is_looked_at(
    luna: Buyer, stripe: FakeStripe, rest: RestServer
) -> None:
    lock = f"lock:payout:creator:{luna.user_id}"
    await rest.command("SET", lock, "somebody else's")
    answer = await luna.post("payouts", ASKED, "key")
    _assert_busy(answer, "payout_in_progress")
    assert 'queries;desc="0"' in answer.headers["server-timing"]
    assert (await rest.command("GET", lock), stripe.requests) == (b"somebody else's", 0)
    await rest.command("DEL", lock)
    assert (await luna.post("payouts", ASKED, "key")).status_code == 201
    assert await rest.command("EXISTS", lock) == 0


async def test_lock_is_let_go_of_whatever_is_answered(
    luna: Buyer, stripe: FakeStripe, rest: RestServer, owner: asyncpg.Connection[Any]
) -> None:
    async def ask(tokens: int, key: str) -> int:
        status = (await luna.post("payouts", {"tokens": tokens}, key)).status_code
        assert await rest.command("KEYS", "lock:*") == []
        return status

    stripe.webhooks.set(Delivery.HELD)
    assert await ask(400_000_000, "much") == 402
    assert [await ask(1000, key) for key in ("key", "key", "other")] == [201, 201, 409]
    await owner.execute("UPDATE users SET email_verified_at = NULL WHERE username = 'luna'")
    assert await ask(1000, "other") == 403
    assert len(stripe.transfers) == 1


@pytest.mark.parametrize("mode", [RestMode.REFUSE, RestMode.ERROR_500, RestMode.LOST])
async def test_upstash_going_out_after_admission_stops_no_payout_and_the_balance_heals(
    luna: Buyer, stripe: FakeStripe, rest: RestServer, monkeypatch: pytest.MonkeyPatch, mode: RestMode
) -> None:
    before = await luna.balance()
    real = payouts.request

    async def go_out(*arguments: Any) -> Any:
        await rest.faults.set(mode)
        return await real(*arguments)

    monkeypatch.setattr(payouts, "request", go_out)
    answer = await luna.post("payouts", ASKED)
    assert answer.status_code == 201
    assert "x-ratelimit-mode" not in answer.headers, "it was admitted before"
    assert 'trips;desc="2"' in answer.headers["server-timing"], "the gate's, and one in vain"
    await rest.faults.set(RestMode.OK)
    await stripe.delivered()
    assert (await luna.balance())["earnings_tokens"] == before["earnings_tokens"] - 1000
    assert len(stripe.transfers) == 1


async def test_many_at_once_are_one_payout(luna: Buyer, stripe: FakeStripe, rest: RestServer) -> None:
    stripe.webhooks.set(Delivery.HELD)
    answers = await asyncio.gather(*(luna.post("payouts", ASKED) for _ in range(10)))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 9
    await forget_limits(rest)
    same = await asyncio.gather(*(luna.post("payouts", ASKED, "same") for _ in range(10)))
    assert {one.status_code for one in same} == {409}
    assert len(stripe.transfers) == 1
