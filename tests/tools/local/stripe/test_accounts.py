"""Connected accounts by the real SDK: not yet onboarded, onboarded, closed, gone."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.endpoint import Endpoint
from tests.tools.local.stripe.sdk import connected, every, onboarded
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.server import FakeStripe

CONTROLLER: Any = {
    "controller": {
        "fees": {"payer": "application"},
        "losses": {"payments": "application"},
        "requirement_collection": "stripe",
        "stripe_dashboard": {"type": "express"},
    },
    "capabilities": {"transfers": {"requested": True}},
}


def able(account: Any) -> tuple[bool, bool, bool, str]:
    return (
        account["charges_enabled"],
        account["payouts_enabled"],
        account["details_submitted"],
        account["capabilities"]["transfers"],
    )


async def test_account_can_do_nothing_when_it_is_new(client: stripe.V1Services, fake: FakeStripe) -> None:
    made = await client.accounts.create_async(
        {
            "type": "express",
            "country": "de",
            "email": "luna@digis.test",
            "business_type": "individual",
            "business_profile": {"url": "https://digis.test/luna"},
            "capabilities": {"transfers": {"requested": True}, "card_payments": {"requested": False}},
            "metadata": {"creator_id": "c1"},
        }
    )
    assert (made.type, made.country, made.email) == ("express", "DE", "luna@digis.test")
    assert made.metadata is not None
    assert made.metadata["creator_id"] == "c1"
    assert fake.accounts[made.id]["capabilities"] == {"transfers": "inactive"}
    assert able(made) == (False, False, False, "inactive")
    assert made.requirements is not None
    assert (made.requirements.disabled_reason, bool(made.requirements.currently_due)) == (
        "requirements.past_due",
        True,
    )
    assert await client.accounts.retrieve_async(made.id) == made
    assert made.id.startswith("acct_")
    assert fake.events == []


async def test_account_is_made_by_its_controller_when_that_is_given(client: stripe.V1Services) -> None:
    made = await client.accounts.create_async(CONTROLLER)
    assert made.controller is not None
    assert (made.type, made.controller.losses and made.controller.losses.payments) == ("none", "application")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"type": "express", **CONTROLLER},
        {"type": "premium"},
        {"type": "express", "country": "Germany"},
        {"type": "express", "business_type": "band"},
        {"type": "express", "capabilities": {"transfers": {"requested": "yes"}}},
        {"type": "express", "capabilities": {"flights": {"requested": True}}},
    ],
)
async def test_account_is_refused_when_its_parameters_are_wrong(
    client: stripe.V1Services, fake: FakeStripe, params: Any
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.accounts.create_async(params)
    assert raised.value.http_status == 400
    assert not fake.accounts


async def test_account_can_do_all_when_it_is_onboarded(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    account_id = await connected(client)
    assert able(fake.onboard(account_id)) == (True, True, True, "active")
    fake.onboard(account_id)  # as it was: no second event
    now = await client.accounts.retrieve_async(account_id)
    assert able(now) == (True, True, True, "active")
    assert now.requirements is not None
    assert (now.requirements.disabled_reason, now.requirements.currently_due) == (None, [])
    await fake.delivered()
    (event,) = endpoint.verified(secret="whsec_local")
    assert (event.type, event.account, able(event.data.object)) == ("account.updated", account_id, able(now))


async def test_transfers_are_pending_when_what_was_submitted_is_not_verified(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    account_id = await connected(client)
    assert able(fake.onboard(account_id, is_verified=False)) == (False, False, True, "pending")
    assert able(fake.onboard(account_id)) == (True, True, True, "active")
    assert [event["type"] for event in fake.events] == ["account.updated"] * 2


async def test_capability_is_there_when_it_was_requested(client: stripe.V1Services, fake: FakeStripe) -> None:
    account_id = await connected(client, capabilities={})
    assert fake.onboard(account_id)["capabilities"] == {}
    request: Any = {"capabilities": {"transfers": {"requested": True}}}
    await client.accounts.update_async(account_id, request)
    assert fake.accounts[account_id]["capabilities"] == {"transfers": "active"}
    drop: Any = {"capabilities": {"transfers": {"requested": False}}}
    await client.accounts.update_async(account_id, drop)
    assert fake.accounts[account_id]["capabilities"] == {}


async def test_account_changes_and_says_so_when_it_is_updated(client: stripe.V1Services, fake: FakeStripe) -> None:
    account_id = await connected(client, metadata={"a": "1"}, email="a@digis.test")
    updated: Any = await client.accounts.update_async(
        account_id, {"metadata": {"b": "2"}, "business_profile": {"name": "Luna"}}
    )
    assert (updated.metadata.to_dict(), updated.email) == ({"a": "1", "b": "2"}, "a@digis.test")
    assert updated.business_profile.name == "Luna"
    (event,) = fake.events
    assert (event["type"], event["account"]) == ("account.updated", account_id)


async def test_account_is_closed_when_it_is_rejected(client: stripe.V1Services, fake: FakeStripe) -> None:
    by_us, by_api = await onboarded(client, fake), await onboarded(client, fake)
    assert able(fake.close_account(by_us)) == (False, False, True, "inactive")
    rejected = await client.accounts.reject_async(by_api, {"reason": "fraud"})
    assert rejected.requirements is not None
    assert rejected.requirements.disabled_reason == "rejected.fraud"
    assert [event["account"] for event in fake.events][-2:] == [by_us, by_api]
    for again in (fake.onboard, fake.close_account):
        with pytest.raises(StripeRefused):
            again(by_us)


async def test_account_is_forbidden_when_it_is_deleted_or_never_was(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    account_id = await onboarded(client, fake)
    deleted: Any = await client.accounts.delete_async(account_id)
    assert (deleted.id, deleted.deleted) == (account_id, True)
    for gone in (account_id, "acct_none"):
        with pytest.raises(stripe.PermissionError) as raised:
            await client.accounts.retrieve_async(gone)
        assert raised.value.error is not None
        assert (raised.value.http_status, raised.value.error.code) == (403, "account_invalid")
    with pytest.raises(StripeRefused):
        fake.onboard(account_id)


async def test_accounts_are_listed_page_by_page_when_there_are_many(client: stripe.V1Services) -> None:
    made = [await connected(client) for _ in range(5)]
    assert [each.id for each in await every(await client.accounts.list_async({"limit": 2}))] == made[::-1]


async def test_connect_events_are_not_the_platforms_when_it_asks_for_events(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    await onboarded(client, fake)
    fake.top_up(100)
    assert [each.type for each in (await client.events.list_async()).data] == ["topup.succeeded", "topup.created"]
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.events.retrieve_async(fake.events[0]["id"])
    assert raised.value.code == "resource_missing"


async def test_request_is_refused_when_it_is_on_behalf_of_a_connected_account(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    account_id = await onboarded(client, fake)
    with pytest.raises(stripe.InvalidRequestError, match="Stripe-Account"):
        await client.balance.retrieve_async({}, {"stripe_account": account_id})
