from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import stripe

from tests.tools.local.stripe.endpoint import Endpoint
from tests.tools.local.stripe.sdk import connect
from tools.local.stripe.server import FakeStripe


@pytest.fixture
async def fake() -> AsyncIterator[FakeStripe]:
    """Nothing in it, and all that it does later it does at once."""
    async with FakeStripe(delay_seconds=0) as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeStripe) -> AsyncIterator[stripe.V1Services]:
    async with connect(fake) as client:
        yield client


@pytest.fixture
async def endpoint(fake: FakeStripe) -> AsyncIterator[Endpoint]:
    """The fake's webhook endpoint, in order; what it does not take it is sent again at once."""
    endpoint = Endpoint()
    await endpoint.start()
    fake.webhook_url = endpoint.url
    fake.webhooks.first_backoff_seconds = 0
    fake.webhooks.concurrency = 1
    yield endpoint
    await endpoint.stop()
