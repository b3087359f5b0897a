"""Webhooks: signed, retried, and delivered as badly as a test wants."""

from __future__ import annotations

import pytest
import stripe

from tests.tools.local.stripe.endpoint import HANG, NO_ANSWER, TWO_AT_ONCE, Endpoint
from tests.tools.local.stripe.sdk import intend, pay
from tools.local.stripe.agenda import Act
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import CONCURRENCY, MAX_TRIES, Delivery

PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


async def test_each_event_is_delivered_once_in_order_and_signed(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    paid = await pay(client)
    await fake.delivered()
    events = endpoint.verified(secret="whsec_local")
    assert [event.type for event in events] == PAID
    assert [event.id for event in events] == [event["id"] for event in fake.events]
    assert events[-1].data.object["id"] == paid.id
    assert [event["pending_webhooks"] for event in fake.events] == [0, 0, 0]
    with pytest.raises(stripe.SignatureVerificationError):
        endpoint.verified(secret="whsec_other")


async def test_the_signature_is_the_sdks_own(fake: FakeStripe) -> None:
    stripes = stripe.WebhookSignature.generate_signature_header
    assert fake.sign(b'{"a": 1}', timestamp=1_700_000_000) == stripes('{"a": 1}', "whsec_local", 1_700_000_000)
    assert fake.sign(b"{}", timestamp=5, secret="whsec_x") == stripes("{}", "whsec_x", 5)
    assert stripe.WebhookSignature.verify_header(b"{}", fake.sign(b"{}"), "whsec_local", 300)


async def test_without_an_endpoint_events_are_only_kept(fake: FakeStripe, client: stripe.V1Services) -> None:
    await pay(client)
    await fake.delivered()
    assert [event["type"] for event in fake.events] == PAID
    with pytest.raises(ValueError, match="webhook_url"):
        await fake.deliver(fake.events[0])


@pytest.mark.parametrize("trouble", [500, 302, 404, NO_ANSWER])
async def test_what_is_not_taken_is_sent_again(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint, trouble: int
) -> None:
    endpoint.answers.extend([trouble, trouble])
    await intend(client)
    await fake.delivered()
    assert endpoint.types == ["payment_intent.created"] * 3
    assert len({event.id for event in endpoint.verified(secret="whsec_local")}) == 1
    assert fake.events[0]["pending_webhooks"] == 0


async def test_what_is_not_answered_in_time_is_sent_again(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.webhooks.deadline_seconds = 0  # nobody answers within no time
    add, added = fake._agenda.add, 0

    def more_time_for_the_second(seconds: float, act: Act) -> None:
        nonlocal added
        added += 1
        fake.webhooks.deadline_seconds = 0 if added == 1 else 60
        add(seconds, act)

    monkeypatch.setattr(fake._agenda, "add", more_time_for_the_second)
    await intend(client)
    await fake.delivered()
    assert (added, fake.events[0]["pending_webhooks"]) == (2, 0)
    assert endpoint.types[-1] == "payment_intent.created"


async def test_it_is_given_up_after_the_last_try(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    endpoint.answers.extend([500] * 99)
    await intend(client)
    await fake.delivered()
    assert len(endpoint.payloads) == MAX_TRIES
    assert fake.events[0]["pending_webhooks"] == 0


async def test_each_try_waits_twice_as_long_up_to_a_minute(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    add = fake._agenda.add

    def at_once(seconds: float, act: Act) -> None:
        waits.append(seconds)
        add(0, act)

    monkeypatch.setattr(fake._agenda, "add", at_once)
    fake.webhooks.first_backoff_seconds, fake.webhooks.delay_seconds = 1, 0.5
    endpoint.answers.extend([500] * 99)
    await intend(client)
    await fake.delivered()
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


async def test_what_is_refused_is_sent_again_when_somebody_listens(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await endpoint.stop()
    add, added = fake._agenda.add, 0

    def listen_before_the_second(seconds: float, act: Act) -> None:
        async def listening() -> None:
            await endpoint.start()
            await act()

        nonlocal added
        added += 1
        add(seconds, listening if added == 2 else act)

    monkeypatch.setattr(fake._agenda, "add", listen_before_the_second)
    await intend(client)
    await fake.delivered()
    assert endpoint.types == ["payment_intent.created"]


async def test_others_are_delivered_when_one_is_not_answered(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    fake.webhooks.concurrency = CONCURRENCY
    fake.webhooks.deadline_seconds = 3600
    endpoint.answers.append(HANG)
    for _ in range(10):
        await intend(client)
    await endpoint.arrived(10)
    assert CONCURRENCY == 8


async def test_held_ones_wait_until_they_are_let_go(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    fake.webhooks.set(Delivery.HELD)
    await pay(client)
    await fake.delivered()
    assert endpoint.payloads == []
    assert [event["type"] for event in fake.webhooks.held] == PAID
    assert await fake.deliver(fake.webhooks.held[2]) == 200
    fake.webhooks.set(Delivery.NORMAL)
    await fake.delivered()
    assert endpoint.types == [PAID[2], *PAID]


async def test_reordered_ones_come_in_another_order(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    fake.webhooks.set(Delivery.HELD)
    await pay(client)
    await fake.delivered()
    fake.webhooks.set(Delivery.REORDERED)
    await fake.delivered()
    assert sorted(endpoint.types) == sorted(PAID)
    assert endpoint.types != PAID


async def test_repeated_ones_come_three_times_and_twice_at_once(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    fake.webhooks.set(Delivery.REPEATED)
    fake.webhooks.deadline_seconds = 60
    endpoint.answers.append(TWO_AT_ONCE)
    await intend(client)
    await fake.delivered()
    assert endpoint.types == ["payment_intent.created"] * 3


async def test_lost_ones_never_come(client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint) -> None:
    fake.webhooks.set(Delivery.LOST)
    await pay(client)
    await fake.delivered()
    fake.webhooks.set(Delivery.NORMAL)
    await fake.delivered()
    assert endpoint.payloads == []
    assert [event.type for event in (await client.events.list_async()).data] == PAID[::-1]


async def test_a_test_can_forge_one(client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint) -> None:
    await intend(client)
    await fake.delivered()
    endpoint.answers.append(400)
    assert await fake.deliver(fake.events[0], secret="whsec_forged", timestamp=1) == 400
    assert endpoint.signatures[-1].startswith("t=1,v1=")
    with pytest.raises(stripe.SignatureVerificationError):
        endpoint.verified(secret="whsec_local")


async def test_it_stops_with_deliveries_under_way(client: stripe.V1Services, endpoint: Endpoint) -> None:
    endpoint.answers.append(HANG)
    async with FakeStripe(delay_seconds=0, webhook_url=endpoint.url) as other:
        other._account.announce("payment_intent.created", {"id": "pi_1"})
        await endpoint.arrived(1)


async def test_a_new_endpoint_gets_what_the_old_one_did_not_take_and_a_restart_loses_none(
    client: stripe.V1Services, fake: FakeStripe, endpoint: Endpoint
) -> None:
    fake.webhooks.delay_seconds = 3600
    await intend(client)
    await fake.stop()
    fake.webhooks.delay_seconds = 0
    fake.webhook_url = None
    await fake.start()
    await fake.delivered()
    assert (fake.events[0]["pending_webhooks"], endpoint.payloads) == (1, [])
    fake.webhook_url = endpoint.url
    await fake.delivered()
    assert endpoint.types == ["payment_intent.created"]


async def test_it_says_so_when_its_port_is_taken(fake: FakeStripe) -> None:
    port = int(fake.url.rpartition(":")[2])
    with pytest.raises(OSError, match="address"):
        await FakeStripe(port=port).start()
