"""The account that a creator is paid to: made once, set up on Stripe's page, known to be active, and replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from shared.settings import settings
from tests.functions.auth.people import forget_limits
from tests.functions.payments.people import Buyer, code_of
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

ASKED = {"tokens": 1000}
OUT = [Mode.REFUSE, Mode.HANG, Mode.ERROR_500, Mode.DOWN, Mode.CUT, Mode.LOST]


@pytest.fixture(autouse=True)
async def all_is_told(digis: httpx.AsyncClient, stripe: FakeStripe) -> AsyncIterator[None]:
    """At the end every webhook has arrived."""
    yield
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()


@pytest.fixture
def short_deadline(digis: httpx.AsyncClient, fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("STRIPE_DEADLINE_MS", "300")
    settings.cache_clear()


@pytest.fixture
async def newcomer(luna: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]) -> Buyer:
    """A creator with earnings and no account yet."""
    await owner.execute("DELETE FROM payout_accounts")
    stripe.accounts.clear()
    return luna


async def _open(creator: Buyer) -> dict[str, str]:
    answer = await creator.post("payout-account", None)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"success", "payout_account"}
    found: dict[str, str] = answer.json()["payout_account"]
    assert set(found) == {"status", "onboarding_url"}
    return found


async def _row(owner: asyncpg.Connection[Any]) -> tuple[str | None, str]:
    (row,) = await owner.fetch("SELECT account_id, status FROM payout_accounts")
    return row["account_id"], row["status"]


def _assert_missing(answer: httpx.Response) -> None:
    assert code_of(answer) == (409, "payout_account_missing")
    assert 0 < int(answer.headers["retry-after"]) <= 60


async def test_account_is_made_set_up_on_stripes_page_and_then_active(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    answer = await newcomer.post("payout-account", None)
    assert answer.headers["ratelimit-policy"] == '"api";q=300;w=60'
    assert answer.headers["cache-control"] == "no-store"
    opened = answer.json()["payout_account"]
    assert opened["status"] == "pending"
    (account,) = stripe.accounts.values()
    assert (account["type"], account["metadata"]["user_id"]) == ("express", newcomer.user_id)
    assert await _row(owner) == (account["id"], "pending")
    _assert_missing(await newcomer.post("payouts", ASKED, "key"))

    async with httpx.AsyncClient() as browser:
        page = await browser.get(opened["onboarding_url"])
    assert page.status_code == 200
    await stripe.delivered()  # account.updated
    assert await _row(owner) == (account["id"], "active")
    assert (await _open(newcomer))["status"] == "active"
    asked = await newcomer.post("payouts", ASKED, "key")
    assert (asked.status_code, "idempotency-replayed" in asked.headers) == (201, False)
    (transfer,) = stripe.transfers.values()
    assert transfer["destination"] == account["id"]


async def test_asked_again_it_is_the_same_account_and_a_new_page(newcomer: Buyer, stripe: FakeStripe) -> None:
    first, second = await _open(newcomer), await _open(newcomer)
    assert first["onboarding_url"] != second["onboarding_url"]
    assert len(stripe.accounts) == 1


async def test_account_that_is_still_being_looked_at_is_pending(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await _open(newcomer)
    (account_id,) = stripe.accounts
    stripe.onboard(account_id, is_verified=False)
    await stripe.delivered()
    assert (await _open(newcomer))["status"] == "pending"
    _assert_missing(await newcomer.post("payouts", ASKED))
    assert not stripe.transfers


async def test_without_an_account_there_is_no_payout_and_stripe_is_not_asked(
    newcomer: Buyer, stripe: FakeStripe
) -> None:
    _assert_missing(await newcomer.post("payouts", ASKED))
    assert stripe.requests == 0


async def test_account_whose_update_was_lost_is_asked_for_and_paid_to(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await _open(newcomer)
    stripe.webhooks.set(Delivery.LOST)
    (account_id,) = stripe.accounts
    stripe.onboard(account_id)
    await stripe.delivered()
    assert await _row(owner) == (account_id, "pending")
    stripe.webhooks.set(Delivery.NORMAL)
    assert (await newcomer.post("payouts", ASKED)).status_code == 201
    assert await _row(owner) == (account_id, "active")


async def test_account_that_was_closed_is_replaced_by_another(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await _open(newcomer)
    (account_id,) = stripe.accounts
    stripe.onboard(account_id)
    await stripe.delivered()
    stripe.close_account(account_id)
    await stripe.delivered()
    assert await _row(owner) == (account_id, "closed")
    _assert_missing(await newcomer.post("payouts", ASKED))
    again = await _open(newcomer)
    assert again["status"] == "pending"
    (another,) = set(stripe.accounts) - {account_id}
    assert await _row(owner) == (another, "pending")
    stripe.onboard(another)
    await stripe.delivered()
    assert (await newcomer.post("payouts", ASKED)).status_code == 201
    (transfer,) = stripe.transfers.values()
    assert transfer["destination"] == another


async def test_account_closed_without_a_word_is_replaced_when_it_is_asked_for(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await _open(newcomer)
    (account_id,) = stripe.accounts
    stripe.webhooks.set(Delivery.LOST)
    stripe.close_account(account_id)
    await stripe.delivered()
    assert (await _open(newcomer))["status"] == "pending"
    (another,) = set(stripe.accounts) - {account_id}
    assert await _row(owner) == (another, "pending")


async def test_account_that_stripe_knows_no_more_is_replaced_and_not_paid_to(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    """Stripe answers 403 with the code account_invalid: its owner has removed it, or taken our access away."""
    await _open(newcomer)
    (account_id,) = stripe.accounts
    stripe.accounts.clear()
    _assert_missing(await newcomer.post("payouts", ASKED))
    assert (await _open(newcomer))["status"] == "pending"
    (another,) = stripe.accounts
    assert another != account_id
    assert await _row(owner) == (another, "pending")


async def test_event_of_an_account_that_was_replaced_changes_nothing(
    newcomer: Buyer, stripe: FakeStripe, owner: asyncpg.Connection[Any]
) -> None:
    await _open(newcomer)
    (account_id,) = stripe.accounts
    stripe.close_account(account_id)
    await stripe.delivered()
    await _open(newcomer)
    (another,) = set(stripe.accounts) - {account_id}
    stripe.onboard(another)
    await stripe.delivered()
    late = next(one for one in stripe.events if one["type"] == "account.updated")
    await owner.execute("DELETE FROM stripe_events")
    assert await stripe.deliver(late) == 200
    assert await _row(owner) == (another, "active")


# Stripe out


@pytest.mark.slow
@pytest.mark.parametrize("mode", OUT)
async def test_stripe_out_is_503_and_the_repeat_makes_one_account(
    newcomer: Buyer, stripe: FakeStripe, short_deadline: None, mode: Mode
) -> None:
    await stripe.faults.set(mode)
    for _ in range(2):
        answer = await newcomer.post("payout-account", None)
        assert code_of(answer) == (503, "payment_provider_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    await stripe.faults.set(Mode.OK)
    assert (await _open(newcomer))["status"] == "pending"
    assert len(stripe.accounts) == 1


async def test_failure_that_stripe_has_stored_is_passed_by(newcomer: Buyer, stripe: FakeStripe) -> None:
    await stripe.faults.set(Mode.ERROR_500, count=1, only="POST /v1/accounts")
    assert (await newcomer.post("payout-account", None)).status_code == 503
    await _open(newcomer)
    assert len(stripe.accounts) == 1
    keys = [one.idempotency_key for one in stripe.seen if one.path == "/v1/accounts"]
    assert keys == [f"account:{newcomer.user_id}:1", f"account:{newcomer.user_id}:2"]


@pytest.mark.parametrize("mode", [Mode.LOST, Mode.DOWN, Mode.ERROR_500])
async def test_page_that_cannot_be_made_is_503_and_the_account_stays(
    newcomer: Buyer, stripe: FakeStripe, mode: Mode
) -> None:
    await stripe.faults.set(mode, count=1, only="POST /v1/account_links")
    assert (await newcomer.post("payout-account", None)).status_code == 503
    await _open(newcomer)
    assert len(stripe.accounts) == 1


async def test_many_at_once_open_one_account(newcomer: Buyer, stripe: FakeStripe, rest: RestServer) -> None:
    answers = await asyncio.gather(*(newcomer.post("payout-account", None) for _ in range(20)))
    assert {one.status_code for one in answers} == {201}
    assert len(stripe.accounts) == 1
    stripe.close_account(*stripe.accounts)
    await stripe.delivered()
    await forget_limits(rest)
    answers = await asyncio.gather(*(newcomer.post("payout-account", None) for _ in range(20)))
    assert {one.status_code for one in answers} == {201}
    assert len(stripe.accounts) == 2
