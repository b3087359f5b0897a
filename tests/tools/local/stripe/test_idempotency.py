"""Idempotency keys: the first answer is every answer, until it is pruned."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe

from tests.tools.local.stripe.sdk import intend, pay
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

CREATE: Any = {"amount": 500, "currency": "usd"}
KEY: Any = {"idempotency_key": "key-1"}
DAY = 24 * 3600


def replayed(subject: Any) -> bool:
    """Whether the server said that it repeated itself."""
    headers: Any = subject.headers if isinstance(subject, stripe.StripeError) else subject.last_response.headers
    return bool(headers.get("idempotent-replayed") == "true")


async def refused(attempt: Any) -> stripe.StripeError:
    with pytest.raises(stripe.StripeError) as raised:
        await attempt
    return raised.value


async def test_a_repeated_request_has_the_same_answer_and_no_effect(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    first = await client.payment_intents.create_async(CREATE, KEY)
    fake.confirm(first.id)
    again = await client.payment_intents.create_async(CREATE, KEY)
    assert again == first  # as it was then, though it is paid now
    assert (replayed(first), replayed(again)) == (False, True)
    assert len(fake.payment_intents) == 1


async def test_without_the_same_key_it_is_another_request(client: stripe.V1Services, fake: FakeStripe) -> None:
    await client.payment_intents.create_async(CREATE, KEY)
    await client.payment_intents.create_async(CREATE, {"idempotency_key": "key-2"})
    await client.payment_intents.create_async(CREATE)
    assert len(fake.payment_intents) == 3


async def test_a_decline_is_repeated(client: stripe.V1Services, fake: FakeStripe) -> None:
    made = await intend(client)
    confirm = client.payment_intents.confirm_async
    declined: Any = {"payment_method": "pm_card_chargeDeclined"}
    first, again = await refused(confirm(made.id, declined, KEY)), await refused(confirm(made.id, declined, KEY))
    assert (first.http_body, first.http_status) == (again.http_body, again.http_status)
    assert replayed(again)
    assert len(fake.charges) == 1


async def test_a_refusal_is_repeated_though_it_would_be_allowed_now(
    client: stripe.V1Services, fake: FakeStripe
) -> None:
    made = await intend(client)
    too_early = await refused(client.refunds.create_async({"payment_intent": made.id}, KEY))
    fake.confirm(made.id)
    still = await refused(client.refunds.create_async({"payment_intent": made.id}, KEY))
    assert (replayed(too_early), replayed(still)) == (False, True)
    assert (await client.refunds.create_async({"payment_intent": made.id})).amount == 1000


async def test_a_500_is_repeated_until_it_is_pruned(client: stripe.V1Services, fake: FakeStripe) -> None:
    await fake.faults.set(Mode.ERROR_500, count=1)
    first = await refused(client.payment_intents.create_async(CREATE, KEY))
    again = await refused(client.payment_intents.create_async(CREATE, KEY))
    assert (first.http_status, again.http_status, replayed(again)) == (500, 500, True)
    assert not fake.payment_intents
    fake.advance(DAY)
    assert not replayed(await client.payment_intents.create_async(CREATE, KEY))


async def test_it_is_pruned_a_day_after_the_first_use(client: stripe.V1Services, fake: FakeStripe) -> None:
    first = await client.payment_intents.create_async(CREATE, KEY)
    fake.advance(DAY - 60)
    assert (await client.payment_intents.create_async(CREATE, KEY)).id == first.id
    fake.advance(60)  # a day after the first, not after the last
    assert (await client.payment_intents.create_async(CREATE, KEY)).id != first.id


async def test_other_parameters_or_another_path_are_refused(client: stripe.V1Services) -> None:
    await client.payment_intents.create_async(CREATE, KEY)
    other: Any = {**CREATE, "amount": 501}
    for attempt in (
        client.payment_intents.create_async(other, KEY),
        client.refunds.create_async({"payment_intent": "pi_1"}, KEY),
    ):
        error = await refused(attempt)
        assert isinstance(error, stripe.IdempotencyError)
        assert error.http_status == 400
    assert replayed(await client.payment_intents.create_async(CREATE, KEY))


async def test_while_the_first_executes_the_second_is_told_so(client: stripe.V1Services, fake: FakeStripe) -> None:
    fake.faults.slow_seconds = 3600
    await fake.faults.set(Mode.SLOW, count=1)
    first = asyncio.create_task(client.payment_intents.create_async(CREATE, KEY))
    await fake.faults.caught()
    second = await refused(client.payment_intents.create_async(CREATE, KEY))
    assert second.error is not None
    assert (second.http_status, second.error.code) == (409, "idempotency_key_in_use")
    await fake.faults.set(Mode.OK)
    assert (await client.payment_intents.create_async(CREATE, KEY)).id == (await first).id
    assert len(fake.payment_intents) == 1


async def test_what_never_began_is_not_stored(client: stripe.V1Services) -> None:
    wrong: Any = {**CREATE, "amuont": 5}
    assert (await refused(client.payment_intents.create_async(wrong, KEY))).code == "parameter_unknown"
    small: Any = {**CREATE, "amount": 5}
    assert (await refused(client.payment_intents.create_async(small, KEY))).code == "amount_too_small"
    assert not replayed(await client.payment_intents.create_async(CREATE, KEY))


async def test_a_key_may_not_be_too_long(client: stripe.V1Services) -> None:
    error = await refused(client.payment_intents.create_async(CREATE, {"idempotency_key": "k" * 256}))
    assert error.http_status == 400


async def test_concurrent_requests_under_one_key_have_one_effect(client: stripe.V1Services, fake: FakeStripe) -> None:
    paid = await pay(client)
    params: Any = {"payment_intent": paid.id, "amount": 100}
    refunds = await asyncio.gather(*(client.refunds.create_async(params, KEY) for _ in range(8)))
    assert len({refund.id for refund in refunds}) == len(fake.refunds) == 1
