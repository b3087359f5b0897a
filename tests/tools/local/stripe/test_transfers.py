"""Transfers by the real SDK: made, refused for good, found again by their group, and under every fault."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.endpoint import Endpoint
from tests.tools.local.stripe.sdk import connected, every, onboarded, transfer
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

KEY: Any = {"idempotency_key": "payout-1"}


@pytest.fixture
async def creator(client: stripe.V1Services, fake: FakeStripe) -> str:
    """An account that is onboarded, and 100 dollars to transfer."""
    fake.top_up(10_000)
    return await onboarded(client, fake)


async def refused(attempt: Any) -> tuple[int | None, str | None]:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await attempt
    return raised.value.http_status, raised.value.code


async def test_money_goes_to_the_account_when_it_is_transferred(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint, creator: str
) -> None:
    made = await transfer(
        client, creator, 1500, transfer_group="payout_1", metadata={"payout_id": "1"}, description="Payout"
    )
    assert (made.object, made.amount, made.currency, made.destination) == ("transfer", 1500, "usd", creator)
    assert (made.transfer_group, made.metadata["payout_id"], made.description) == ("payout_1", "1", "Payout")
    assert (made.amount_reversed, made.reversed, made.reversals.data) == (0, False, [])
    assert (made.id.startswith("tr_"), str(made.destination_payment).startswith("py_")) == (True, True)
    assert await client.transfers.retrieve_async(made.id) == made
    moved: Any = await client.balance_transactions.retrieve_async(str(made.balance_transaction), {"expand": ["source"]})
    assert (moved.type, moved.amount, moved.fee, moved.net) == ("transfer", -1500, 0, -1500)
    assert (moved.source.id, moved.reporting_category) == (made.id, "transfer")
    assert (fake.available_cents, fake.balance_cents) == (8500, 8500)
    await fake.delivered()
    event = endpoint.verified(secret="whsec_local")[-1]
    assert (event.type, event.data.object["id"], "account" in event) == ("transfer.created", made.id, False)


async def test_transfer_is_refused_when_what_is_available_is_too_little(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    assert await refused(transfer(client, creator, 10_001)) == (400, "balance_insufficient")
    assert await refused(transfer(client, creator, 1, currency="eur")) == (400, "balance_insufficient")
    await transfer(client, creator, 10_000)
    assert await refused(transfer(client, creator, 1)) == (400, "balance_insufficient")
    assert len(fake.transfers) == 1


async def test_transfer_is_refused_when_there_is_no_such_destination(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such destination: 'acct_none'") as raised:
        await transfer(client, "acct_none")
    assert (raised.value.http_status, raised.value.code, raised.value.param) == (
        400,
        "resource_missing",
        "destination",
    )
    await client.accounts.delete_async(creator)
    assert await refused(transfer(client, creator)) == (400, "resource_missing")


async def test_transfer_is_refused_when_the_destination_cannot_take_it(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    fresh, unverified = await connected(client), await connected(client)
    fake.onboard(unverified, is_verified=False)
    without = await connected(client, capabilities={"card_payments": {"requested": True}})
    fake.onboard(without)
    fake.close_account(creator)
    for destination in (fresh, unverified, without, creator):
        assert await refused(transfer(client, destination)) == (400, "insufficient_capabilities_for_transfer")
    assert (fake.transfers, fake.balance_cents) == ({}, 10_000)


@pytest.mark.parametrize(
    "params",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": "1.5"},
        {"amount": ""},
        {"currency": "dollars"},
        {"destination": ""},
        {"source_transaction": "ch_1"},
    ],
)
async def test_transfer_is_refused_when_its_parameters_are_wrong(
    client: stripe.V1Services, creator: str, params: Any
) -> None:
    wanted: Any = {"amount": 100, "currency": "usd", "destination": creator, **params}
    status, _ = await refused(client.transfers.create_async(wanted))
    assert status == 400


async def test_transfers_are_found_when_they_are_listed_by_group_destination_or_date(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    other = await onboarded(client, fake)
    one = await transfer(client, creator, 100, transfer_group="a")
    fake.advance(60)
    two = await transfer(client, other, 100, transfer_group="a")
    three = await transfer(client, creator, 100, transfer_group="b")
    for params, found in (
        ({"transfer_group": "a"}, [two, one]),
        ({"transfer_group": "a", "destination": creator}, [one]),
        ({"destination": creator}, [three, one]),
        ({"created": {"gt": one.created}}, [three, two]),
        ({"transfer_group": "none"}, []),
    ):
        wanted: Any = params
        assert [each.id for each in (await client.transfers.list_async(wanted)).data] == [each.id for each in found]
    everyone: Any = await every(await client.transfers.list_async({"limit": 1, "expand": ["data.destination"]}))
    assert [each.destination.id for each in everyone] == [creator, other, creator]


async def test_only_metadata_and_description_change_when_it_is_updated(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    made = await transfer(client, creator, metadata={"a": "1"})
    updated: Any = await client.transfers.update_async(made.id, {"metadata": {"b": "2"}, "description": "Payout"})
    assert (updated.metadata.to_dict(), updated.description, updated.amount) == ({"a": "1", "b": "2"}, "Payout", 1000)
    assert fake.events[-1]["type"] == "transfer.updated"
    wrong: Any = {"amount": 5}
    assert (await refused(client.transfers.update_async(made.id, wrong)))[1] == "parameter_unknown"


async def test_transfer_is_made_once_when_the_answer_is_lost_and_the_key_repeated(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    params: Any = {"amount": 1000, "currency": "usd", "destination": creator, "transfer_group": "payout_1"}
    await fake.faults.set(Mode.LOST, count=1, only="POST /v1/transfers")
    with pytest.raises(stripe.APIConnectionError):
        await client.transfers.create_async(params, KEY)
    again = await asyncio.gather(*(client.transfers.create_async(params, KEY) for _ in range(4)))
    assert {each.id for each in again} == set(fake.transfers)
    assert len((await client.transfers.list_async({"transfer_group": "payout_1"})).data) == 1
    assert fake.available_cents == 9000
    assert sum(seen == ("POST", "/v1/transfers", "payout-1") for seen in fake.seen) == 5


async def test_refusal_is_repeated_under_its_key_when_the_balance_would_do_by_now(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    params: Any = {"amount": 20_000, "currency": "usd", "destination": creator}
    assert await refused(client.transfers.create_async(params, KEY)) == (400, "balance_insufficient")
    fake.top_up(20_000)
    assert await refused(client.transfers.create_async(params, KEY)) == (400, "balance_insufficient")
    other: Any = {"idempotency_key": "payout-1:2"}
    assert (await client.transfers.create_async(params, other)).amount == 20_000


async def test_list_is_as_it_is_at_the_end_when_it_is_slow(
    client: stripe.V1Services, fake: FakeStripe, creator: str
) -> None:
    fake.faults.slow_seconds = 3600
    await fake.faults.set(Mode.SLOW, only="GET /v1/transfers")
    listing = asyncio.create_task(client.transfers.list_async({"transfer_group": "payout_1"}))
    await fake.faults.caught()
    made = await transfer(client, creator, transfer_group="payout_1")  # not slow itself
    assert not listing.done()
    await fake.faults.set(Mode.OK)
    assert [each.id for each in (await listing).data] == [made.id]
