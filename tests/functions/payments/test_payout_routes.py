"""Payouts over HTTP: asked for, sent, paid when Stripe has told of it; listed; and once a key."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.http.cursors import Cursor
from tests.functions.auth.people import forget_limits
from tests.functions.payments.conftest import NewBuyer
from tests.functions.payments.people import Buyer, code_of, new_key
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

PAYOUT = {"id", "status", "tokens", "amount_cents", "currency", "created_at"}
ASKED = {"tokens": 1000}


@pytest.fixture(autouse=True)
async def all_is_told(digis: httpx.AsyncClient, stripe: FakeStripe) -> AsyncIterator[None]:
    """At the end every webhook has arrived."""
    yield
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()


async def _pay_out(creator: Buyer, tokens: int = 1000) -> dict[str, Any]:
    """One that is paid, and whose webhooks have arrived."""
    answer = await creator.post("payouts", {"tokens": tokens})
    assert answer.status_code == 201, answer.text
    await creator.stripe.delivered()
    made: dict[str, Any] = answer.json()["payout"]
    return made


async def _listed(creator: Buyer) -> list[dict[str, Any]]:
    answer = await creator.get("payouts")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["payouts"]
    return found


def _fields(answer: httpx.Response) -> set[str]:
    assert code_of(answer) == (422, "validation_failed"), answer.text
    return {error["field"] for error in answer.json()["errors"]}


async def test_payout_is_submitted_then_paid_when_stripe_has_told_of_it(luna: Buyer, stripe: FakeStripe) -> None:
    before = await luna.balance()
    stripe.webhooks.set(Delivery.HELD)
    answer = await luna.post("payouts", {"tokens": 1234})
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert answer.headers["ratelimit-policy"] == '"payment";q=10;w=60'
    assert answer.headers["cache-control"] == "no-store"
    assert "idempotency-replayed" not in answer.headers
    assert set(answer.json()) == {"success", "payout"}
    payout = answer.json()["payout"]
    assert set(payout) == PAYOUT
    assert (payout["status"], payout["tokens"], payout["amount_cents"]) == ("submitted", 1234, 6170)
    assert payout["currency"] == "usd"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", payout["created_at"])

    (transfer,) = stripe.transfers.values()
    assert (transfer["amount"], transfer["currency"]) == (6170, "usd")
    assert (transfer["destination"], transfer["transfer_group"]) == ("acct_demo_luna", payout["id"])
    assert await _listed(luna) == [payout]
    moved = {name: before[name] - 1234 for name in ("earnings_tokens", "available_tokens")}
    assert await luna.balance() == before | moved | {"pending_payout_tokens": 1234}

    await stripe.delivered()
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()
    assert await _listed(luna) == [payout | {"status": "paid"}]
    assert await luna.balance() == before | moved
    newest = (await luna.get("history", limit=1)).json()["entries"][0]
    assert (newest["kind"], newest["tokens"], newest["counterparty"]) == ("payout", -1234, None)


async def test_second_is_possible_when_the_first_is_paid(luna: Buyer, stripe: FakeStripe) -> None:
    first, second = await _pay_out(luna), await _pay_out(luna, 2000)
    assert [(one["id"], one["status"]) for one in await _listed(luna)] == [
        (second["id"], "paid"),
        (first["id"], "paid"),
    ]
    assert sum(one["amount"] for one in stripe.transfers.values()) == 15_000


async def test_all_that_is_available_can_be_paid_out_and_no_more(luna: Buyer) -> None:
    available = (await luna.balance())["available_tokens"]
    assert code_of(await luna.post("payouts", {"tokens": available + 1})) == (402, "insufficient_earnings")
    await _pay_out(luna, available)
    assert (await luna.balance())["available_tokens"] == 0
    assert code_of(await luna.post("payouts", ASKED)) == (402, "insufficient_earnings")


async def test_reversed_payout_is_told_and_its_tokens_are_available(luna: Buyer, stripe: FakeStripe) -> None:
    before = await luna.balance()
    made = await _pay_out(luna)
    (transfer_id,) = stripe.transfers
    stripe.reverse(transfer_id)
    await stripe.delivered()
    assert await _listed(luna) == [made | {"status": "reversed"}]
    assert await luna.balance() == before
    entries = (await luna.get("history", limit=2)).json()["entries"]
    assert [(one["kind"], one["tokens"]) for one in entries] == [("payout_reversed", 1000), ("payout", -1000)]


# The list


async def test_list_is_the_callers_own_page_by_page(luna: Buyer, new_buyer: NewBuyer, rest: RestServer) -> None:
    mika = await new_buyer("mika")
    made = [await _pay_out(luna, 1000 + number) for number in range(4)]
    await forget_limits(rest)
    theirs = await _pay_out(mika)
    newest_first = [one | {"status": "paid"} for one in reversed(made)]
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for more in (True, True, False):
        page = (await luna.get("payouts", limit=2 if more else 1, **cursor)).json()
        assert set(page) == {"success", "payouts", "next_cursor"}
        found += page["payouts"]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        if not cursor:
            break
        assert re.fullmatch(r"[A-Za-z0-9_-]+", page["next_cursor"])
    assert found == newest_first
    assert not cursor, "the last page says so"
    assert await _listed(mika) == [theirs | {"status": "paid"}]
    place = (await luna.get("payouts", limit=1)).json()["next_cursor"]
    assert (await mika.get("payouts", cursor=place)).json()["payouts"] == [], "a place in time, no more"


async def test_who_has_none_sees_none(fan: Buyer) -> None:
    answer = await fan.get("payouts")
    assert answer.json() == {"success": True, "payouts": [], "next_cursor": None}
    assert answer.headers["ratelimit-policy"] == '"api";q=300;w=60'


async def test_cursor_that_was_not_given_out_is_400_and_limit_that_is_none_422(luna: Buyer) -> None:
    await _pay_out(luna)
    (payout,) = await _listed(luna)
    foreign = Cursor("entries", 1, UUID(payout["id"])).encode()
    for cursor in ("", "x", "null", "é", "a" * 5000, foreign):
        answer = await luna.get("payouts", cursor=cursor)
        assert code_of(answer) == (400, "invalid_cursor"), cursor
        assert 'queries;desc="0"' in answer.headers["server-timing"]
    for limit in ("0", "101", "-1", "1.5", "+5", "many", ""):
        assert _fields(await luna.get("payouts", limit=limit)) == {"query.limit"}, limit


# The key


async def test_repeat_is_the_first_answer_and_sends_nothing(luna: Buyer, stripe: FakeStripe) -> None:
    stripe.webhooks.set(Delivery.HELD)
    first = await luna.post("payouts", ASKED, "key")
    for _ in range(2):  # while it is open, and when it is paid
        again = await luna.post("payouts", ASKED | {"unknown": 1}, "key")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        await stripe.delivered()
        stripe.webhooks.set(Delivery.NORMAL)
        await stripe.delivered()
    assert [one["status"] for one in await _listed(luna)] == ["paid"]
    assert len(stripe.transfers) == 1


async def test_repeat_is_answered_when_the_account_is_closed_meanwhile(luna: Buyer, stripe: FakeStripe) -> None:
    first = await luna.post("payouts", ASKED, "key")
    await stripe.delivered()
    stripe.close_account("acct_demo_luna")
    await stripe.delivered()
    again = await luna.post("payouts", ASKED, "key")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert code_of(await luna.post("payouts", ASKED)) == (409, "payout_account_missing")


async def test_same_key_with_another_body_is_422_and_another_users_key_is_another(
    luna: Buyer, new_buyer: NewBuyer, stripe: FakeStripe
) -> None:
    first = await luna.post("payouts", ASKED, "key")
    await stripe.delivered()
    assert code_of(await luna.post("payouts", {"tokens": 1001}, "key")) == (422, "idempotency_key_reused")
    assert (await luna.post("payouts", ASKED, "key")).content == first.content
    theirs = await (await new_buyer("mika")).post("payouts", ASKED, "key")
    assert (theirs.status_code, "idempotency-replayed" in theirs.headers) == (201, False)
    await stripe.delivered()
    assert len(stripe.transfers) == 2


async def test_without_a_key_it_is_400_and_with_one_that_is_none_422(luna: Buyer, stripe: FakeStripe) -> None:
    for headers in (luna.headers, {**luna.headers, "Idempotency-Key": ""}):
        answer = await luna.http.post("/payments/payouts", json=ASKED, headers=headers)
        assert code_of(answer) == (400, "idempotency_key_missing")
    for wrong in ("k" * 256, "two words"):
        assert _fields(await luna.post("payouts", ASKED, wrong)) == {"header.idempotency-key"}
    assert not stripe.transfers


# What is asked for


async def test_tokens_that_are_none_are_422(luna: Buyer, stripe: FakeStripe, rest: RestServer) -> None:
    wrong = [999, 0, -1000, True, 1.5, 1000.0, "5", "1000", None, [], {}, 2**31, 2**31 // 5, 10**30]
    for tokens in wrong:
        assert _fields(await luna.post("payouts", {"tokens": tokens})) == {"body.tokens"}, tokens
        await forget_limits(rest)
    assert (stripe.requests, await _listed(luna)) == (0, [])


async def test_body_of_no_form_is_refused(luna: Buyer) -> None:
    assert _fields(await luna.post("payouts", {})) == {"body.tokens"}
    for body in ([], "text", 5, [ASKED]):
        assert _fields(await luna.post("payouts", body)) == {"body"}
    headers = {**luna.headers, "Idempotency-Key": new_key(), "Content-Type": "application/json"}
    answer = await luna.http.post("/payments/payouts", content=b'{"tokens": NaN}', headers=headers)
    assert code_of(answer) == (400, "malformed_json")
    assert "ratelimit" not in answer.headers


async def test_most_that_can_be_asked_for_is_decided_and_unknown_fields_are_ignored(luna: Buyer) -> None:
    assert code_of(await luna.post("payouts", {"tokens": 2**31 // 5 - 1})) == (402, "insufficient_earnings")
    answer = await luna.post("payouts", ASKED | {"account_id": "acct_mine", "amount_cents": 1, "creator_id": "x"})
    assert (answer.status_code, answer.json()["payout"]["amount_cents"]) == (201, 5000)
    await luna.stripe.delivered()
    (transfer,) = luna.stripe.transfers.values()
    assert transfer["destination"] == "acct_demo_luna"
