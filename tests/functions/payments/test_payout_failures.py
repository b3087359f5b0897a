"""Payouts that Stripe refuses or does not answer: the answer is in time, and no token is lost or sent twice."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from functions.payments import senders
from functions.payments.ledger import House, house_moved
from shared.settings import settings
from tests.functions.payments.people import Buyer, code_of
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

pytestmark = pytest.mark.slow

ASKED, ACCOUNT = {"tokens": 1000}, "acct_demo_luna"
OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.DOWN, Mode.CUT, Mode.LOST, Mode.SLOW]
CARRIED_OUT = {Mode.CUT, Mode.LOST, Mode.SLOW}  # the last one when it is let go
CRON = {"Authorization": "Bearer cron-local"}


@pytest.fixture(autouse=True)
async def all_is_told(digis: httpx.AsyncClient, stripe: FakeStripe) -> AsyncIterator[None]:
    """At the end every webhook has arrived."""
    yield
    await stripe.faults.set(Mode.OK)
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()


@pytest.fixture
def short_deadline(digis: httpx.AsyncClient, fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("STRIPE_DEADLINE_MS", "300")
    settings.cache_clear()


async def _asked(creator: Buyer, tokens: int = 1000) -> dict[str, Any]:
    answer = await creator.post("payouts", {"tokens": tokens}, "key")
    assert answer.status_code == 201, answer.text
    payout: dict[str, Any] = answer.json()["payout"]
    assert payout["status"] == "submitted"
    return payout


async def _status(creator: Buyer) -> str:
    (payout,) = (await creator.get("payouts")).json()["payouts"]
    return str(payout["status"])


async def _history(creator: Buyer, count: int) -> list[tuple[str, int]]:
    entries = (await creator.get("history", limit=count)).json()["entries"]
    return [(one["kind"], one["tokens"]) for one in entries]


async def _is_due(owner: asyncpg.Connection[Any]) -> None:
    """As if the time until reconcile may have it had passed."""
    await owner.execute("UPDATE payouts SET due_at = now()")


# The account's fault


async def test_account_that_was_closed_fails_it_and_the_tokens_are_back_at_once(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    before = await luna.balance()
    stripe.accounts.pop(ACCOUNT)
    await _asked(luna, 5000)
    assert await _status(luna) == "failed"
    assert await luna.balance() == before, "available, and not held again"
    assert await _history(luna, 2) == [("payout_failed", 5000), ("payout", -5000)]
    assert not stripe.transfers
    assert await owner.fetchval("SELECT status FROM payout_accounts WHERE account_id = $1", ACCOUNT) == "closed"
    assert (await luna.post("payout-account", None)).json()["payout_account"]["status"] == "pending"
    (row,) = await owner.fetch("SELECT account_id, status FROM payout_accounts WHERE user_id = $1::uuid", luna.user_id)
    assert row["account_id"] != ACCOUNT
    stripe.onboard(row["account_id"])
    assert (await luna.post("payouts", {"tokens": 5000})).status_code == 201
    (transfer,) = stripe.transfers.values()
    assert transfer["destination"] == row["account_id"]


async def test_account_that_is_not_able_fails_it_and_is_pending(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    before = await luna.balance()
    stripe.accounts[ACCOUNT]["capabilities"] = {"transfers": "inactive"}
    await _asked(luna)
    assert (await _status(luna), await luna.balance()) == ("failed", before)
    assert await owner.fetchval("SELECT status FROM payout_accounts WHERE account_id = $1", ACCOUNT) == "pending"
    answer = await luna.post("payouts", ASKED)
    assert code_of(answer) == (409, "payout_account_missing")
    assert int(answer.headers["retry-after"]) > 0
    stripe.accounts[ACCOUNT]["capabilities"] = {"transfers": "active"}
    assert (await luna.post("payouts", ASKED)).status_code == 201
    assert len(stripe.transfers) == 1


async def test_account_that_stripe_has_rejected_is_refused_and_replaced(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    """Stripe says of a rejected one what it says of one that is not able; asked, it says that it is rejected."""
    before = await luna.balance()
    stripe.webhooks.set(Delivery.LOST)
    stripe.close_account(ACCOUNT)
    await stripe.delivered()
    await _asked(luna)
    assert (await _status(luna), await luna.balance()) == ("failed", before)
    await luna.post("payout-account", None)
    (found,) = await owner.fetch("SELECT account_id FROM payout_accounts WHERE user_id = $1::uuid", luna.user_id)
    assert found["account_id"] not in {ACCOUNT, None}


async def test_failure_that_reconcile_finds_is_seen_in_the_balance(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    before = await luna.balance()
    await stripe.faults.set(Mode.DOWN)
    await _asked(luna)
    assert (await luna.balance())["pending_payout_tokens"] == 1000
    await stripe.faults.set(Mode.OK)
    stripe.accounts.pop(ACCOUNT)
    await _is_due(owner)
    assert (await luna.http.get("/payments/reconcile", headers=CRON)).json()["failed"] == 1
    assert (await _status(luna), await luna.balance()) == ("failed", before)


# Nobody's fault


async def test_without_funds_it_stays_submitted_and_goes_out_when_there_are_some(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any], fan: Buyer
) -> None:
    before = await luna.balance()
    funds = stripe.available_cents
    await _drain(owner, stripe, funds)
    payout = await _asked(luna)
    assert await _status(luna) == "submitted"
    after = await luna.balance()
    assert (after["pending_payout_tokens"], after["available_tokens"]) == (1000, before["available_tokens"] - 1000)
    assert code_of(await luna.post("payouts", ASKED)) == (409, "payout_in_progress")
    await fan.buy("t1000")
    for status in ("submitted", "paid"):
        assert await _status(luna) == status
        await _is_due(owner)
        assert (await luna.http.post("/payments/reconcile", headers=CRON)).status_code == 200
        await stripe.delivered()
    (transfer,) = stripe.transfers.values()
    assert transfer["transfer_group"] == payout["id"]
    keys = {one.idempotency_key for one in stripe.seen if one.method == "POST" and one.path == "/v1/transfers"}
    assert keys == {f"payout:{payout['id']}", f"payout:{payout['id']}:2"}
    assert (await luna.balance())["pending_payout_tokens"] == 0


async def _drain(owner: asyncpg.Connection[Any], stripe: FakeStripe, cents: int) -> None:
    """The house takes its money out, and the books know."""
    stripe.top_up(-cents)
    entry = list(stripe.balance_transactions.values())[-1]
    postings = house_moved(cents=-cents, fee_cents=0)
    assert set(postings) == {House.STRIPE, House.REVENUE}
    async with owner.transaction():
        transfer = await owner.fetchval("INSERT INTO ledger_transfers (kind) VALUES ('house') RETURNING id")
        for account, amount in postings.items():
            await owner.execute("INSERT INTO ledger_postings VALUES ($1, $2, $3)", transfer, account, amount)
        await owner.execute(
            "INSERT INTO house_movements (id, type, cents, fee_cents, transfer_id) VALUES ($1, 'payout', $2, 0, $3)",
            *(entry["id"], -cents, transfer),
        )


@pytest.mark.slow
@pytest.mark.parametrize("mode", OUT)
async def test_stripe_out_is_201_in_time_and_reconcile_goes_on_under_the_same_key(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any], short_deadline: None, mode: Mode
) -> None:
    stripe.faults.slow_seconds = 60
    await stripe.faults.set(mode)
    started = time.monotonic()
    payout = await _asked(luna)
    assert time.monotonic() - started < 5
    again = await luna.post("payouts", ASKED, "key")
    assert (again.json()["payout"], again.headers["idempotency-replayed"]) == (payout, "true")
    assert await _status(luna) == "submitted"
    assert (await luna.balance())["pending_payout_tokens"] == 1000
    assert code_of(await luna.post("payouts", ASKED)) == (409, "payout_in_progress")

    await stripe.faults.set(Mode.OK)
    await stripe.delivered()
    if mode is not Mode.ERROR_500:  # which Stripe repeats for a day under the same key
        await _is_due(owner)
        assert (await luna.http.get("/payments/reconcile", headers=CRON)).status_code == 200
        await stripe.delivered()
        assert await _status(luna) == "paid"
    assert len(stripe.transfers) == (mode is not Mode.ERROR_500)
    keys = [one.idempotency_key for one in stripe.seen if one.method == "POST" and one.path == "/v1/transfers"]
    assert set(keys) <= {f"payout:{payout['id']}"}


async def test_account_that_cannot_be_asked_for_is_503_and_nothing_is_reserved(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await owner.execute("UPDATE payout_accounts SET status = 'pending'")
    before = await luna.balance()
    await stripe.faults.set(Mode.DOWN)
    answer = await luna.post("payouts", ASKED, "key")
    assert code_of(answer) == (503, "payment_provider_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await luna.get("payouts")).json()["payouts"] == []
    assert await luna.balance() == before
    await stripe.faults.set(Mode.OK)
    assert (await luna.post("payouts", ASKED, "key")).status_code == 201


async def test_repeat_is_answered_while_stripe_cannot_be_asked_for_the_account(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    first = await luna.post("payouts", ASKED, "key")
    await stripe.delivered()
    await owner.execute("UPDATE payout_accounts SET status = 'pending'")
    await stripe.faults.set(Mode.DOWN)
    again = await luna.post("payouts", ASKED, "key")
    assert (again.status_code, again.content) == (201, first.content)


async def test_postgres_going_out_before_the_sending_leaves_it_to_reconcile(
    luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = senders.send_new

    async def go_out(reserved: Any) -> None:
        await proxy.set(ProxyMode.REFUSE)
        await real(reserved)

    monkeypatch.setattr(senders, "send_new", go_out)
    await _asked(luna)
    assert not stripe.transfers
    await proxy.set(ProxyMode.OK)
    assert await _status(luna) == "reserved"
    assert (await luna.http.post("/payments/reconcile", headers=CRON)).json()["resumed"] == 1
    await stripe.delivered()
    assert (await _status(luna), len(stripe.transfers)) == ("paid", 1)
