"""What holds for every endpoint: the key, the parameters, expansion, lists."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from tests.tools.local.stripe.sdk import connect, every, intend, pay
from tools.local.stripe.errors import StripeRefused
from tools.local.stripe.form import decode
from tools.local.stripe.server import FakeStripe

KEY = {"Authorization": "Bearer sk_test_local"}


async def test_another_key_is_refused(fake: FakeStripe) -> None:
    async with connect(fake, key="sk_test_other") as stranger:
        with pytest.raises(stripe.AuthenticationError) as raised:
            await stranger.balance.retrieve_async()
        assert "sk_test_other" not in str(raised.value)
    async with httpx.AsyncClient(base_url=fake.url) as http:
        assert (await http.get("/v1/balance")).status_code == 401


async def test_what_is_not_there_is_a_404(client: stripe.V1Services) -> None:
    for attempt in (
        client.payment_intents.retrieve_async("pi_none"),
        client.charges.retrieve_async("ch_none"),
        client.refunds.retrieve_async("re_none"),
        client.disputes.retrieve_async("du_none"),
        client.balance_transactions.retrieve_async("txn_none"),
        client.events.retrieve_async("evt_none"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as raised:
            await attempt
        assert (raised.value.http_status, raised.value.code) == (404, "resource_missing")


async def test_an_endpoint_that_there_is_not_is_said_to_be_unrecognized(client: stripe.V1Services) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=r"Unrecognized request URL \(POST: /v1/customers\)") as raised:
        await client.customers.create_async({})
    assert raised.value.http_status == 404


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"amuont": 5}, "amuont"),
        ({"automatic_payment_methods": {"enabeld": True}}, "automatic_payment_methods[enabeld]"),
        ({"amount": {"cents": 5}}, "amount[cents]"),
    ],
)
async def test_a_parameter_that_nobody_knows_is_refused(client: stripe.V1Services, params: Any, name: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.payment_intents.create_async(params)
    assert (raised.value.code, raised.value.param) == ("parameter_unknown", name)


@pytest.mark.parametrize(
    "params",
    [
        {"metadata": {f"k{number}": "v" for number in range(51)}},
        {"metadata": {"k": "v" * 501}},
        {"metadata": {"k" * 41: "v"}},
        {"metadata": {"k": {"inner": "v"}}},
        {"confirm": "yes"},
        {"currency": "dollars"},
    ],
)
async def test_values_that_stripe_would_not_take_are_refused(client: stripe.V1Services, params: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await intend(client, **params)


def test_a_form_is_dicts_in_dicts() -> None:
    assert decode("metadata[a]=1&metadata[b]=&expand[0]=x&expand[1]=y&c=%26") == {
        "metadata": {"a": "1", "b": ""},
        "expand": {"0": "x", "1": "y"},
        "c": "&",
    }
    assert decode("expand[]=x&expand[]=y") == {"expand": {"0": "x", "1": "y"}}
    for wrong in ("a=1&a[b]=2", "[a]=1", "a]b[=1"):
        with pytest.raises(StripeRefused):
            decode(wrong)


@pytest.mark.parametrize("path", ["customer_name", "latest_charge.nothing", "a.b.c.d.e", "metadata"])
async def test_what_cannot_be_expanded_is_refused_before_anything_is_done(
    client: stripe.V1Services, fake: FakeStripe, path: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await client.payment_intents.create_async({"amount": 500, "currency": "usd", "expand": [path]})
    assert not fake.payment_intents
    with pytest.raises(stripe.InvalidRequestError):
        await client.payment_intents.list_async({"expand": ["latest_charge"]})  # of a list it is data.latest_charge


async def test_lists_are_expanded_in_what_they_list(client: stripe.V1Services) -> None:
    await pay(client)
    listed: Any = await client.payment_intents.list_async({"expand": ["data.latest_charge.balance_transaction"]})
    assert listed.data[0].latest_charge.balance_transaction.net == 941
    unpaid = await client.payment_intents.retrieve_async((await intend(client)).id, {"expand": ["latest_charge"]})
    assert unpaid.latest_charge is None


async def test_lists_go_page_by_page_from_the_newest(client: stripe.V1Services) -> None:
    made = [(await intend(client)).id for _ in range(12)]
    first = await client.payment_intents.list_async()
    assert ([each.id for each in first.data], first.has_more) == (made[:1:-1], True)
    assert [each.id for each in await every(await client.payment_intents.list_async({"limit": 5}))] == made[::-1]
    rest = await client.payment_intents.list_async({"starting_after": made[2]})
    assert ([each.id for each in rest.data], rest.has_more) == ([made[1], made[0]], False)
    before = await client.payment_intents.list_async({"ending_before": made[5], "limit": 3})
    assert ([each.id for each in before.data], before.has_more) == ([made[8], made[7], made[6]], True)


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 101},
        {"starting_after": "pi_none"},
        {"starting_after": "pi_none", "ending_before": "pi_none"},
        {"created": {"gte": "today"}},
        {"customer": "cus_1"},
    ],
)
async def test_a_page_that_there_is_not_is_refused(client: stripe.V1Services, params: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await client.payment_intents.list_async(params)
    assert raised.value.http_status == 400


async def test_lists_are_bounded_by_when_it_was_created(client: stripe.V1Services, fake: FakeStripe) -> None:
    old = await intend(client)
    fake.advance(3600)
    new = await intend(client)
    assert new.created >= old.created + 3600
    list_ = client.payment_intents.list_async
    assert [each.id for each in (await list_({"created": {"gt": old.created}})).data] == [new.id]
    assert [each.id for each in (await list_({"created": {"gte": old.created, "lt": new.created}})).data] == [old.id]
    assert [each.id for each in (await list_({"created": new.created})).data] == [new.id]


async def test_events_are_kept_as_it_was_and_found_by_type(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    fake.refund(paid.id)
    (refunded,) = (await client.events.list_async({"type": "charge.refunded"})).data
    assert refunded.data.object["refunded"] is True
    (succeeded,) = (await client.events.list_async({"type": "charge.succeeded"})).data
    assert succeeded.data.object["refunded"] is False
    assert await client.events.retrieve_async(succeeded.id) == succeeded
    assert succeeded.request is not None
    assert succeeded.request.idempotency_key == fake.seen[1].idempotency_key
    assert len((await client.events.list_async({"type": "charge.*"})).data) == 2
    types = ["payment_intent.created", "payment_intent.succeeded"]
    assert [each.type for each in (await client.events.list_async({"types": types})).data] == types[::-1]
    both: Any = {"type": "charge.refunded", "types": types}
    with pytest.raises(stripe.InvalidRequestError):
        await client.events.list_async(both)


async def test_requests_are_counted_with_their_keys(client: stripe.V1Services, fake: FakeStripe) -> None:
    await client.payment_intents.create_async({"amount": 500, "currency": "usd"}, {"idempotency_key": "k1"})
    await client.balance.retrieve_async()
    assert fake.seen == [("POST", "/v1/payment_intents", "k1"), ("GET", "/v1/balance", None)]
    assert fake.requests == 2
    fake.reset_counters()
    assert (fake.requests, fake.seen) == (0, [])
