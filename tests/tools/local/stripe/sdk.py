"""The real SDK, pointed at the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import stripe

from tools.local.stripe.server import FakeStripe


class Client(stripe.HTTPXClient):
    """Sends the body as `content`: the SDK's `data` is deprecated in httpx, and warnings are errors here."""

    def _get_request_args_kwargs(self, method: str, url: str, headers: Any, post_data: Any) -> Any:
        args, options = super()._get_request_args_kwargs(method, url, headers, post_data)
        return args, {"content": options.pop("data") or None, **options}

    async def aclose(self) -> None:
        await self._client_async.aclose()


@asynccontextmanager
async def connect(
    fake: FakeStripe, *, key: str = "sk_test_local", retries: int = 0
) -> AsyncIterator[stripe.V1Services]:
    http = Client()
    try:
        client = stripe.StripeClient(
            key, base_addresses={"api": fake.url}, http_client=http, max_network_retries=retries
        )
        yield client.v1
    finally:
        await http.aclose()


async def intend(client: stripe.V1Services, amount: int = 1000, **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": amount, "currency": "usd", **more}
    return await client.payment_intents.create_async(params)


async def pay(client: stripe.V1Services, amount: int = 1000, method: str = "pm_card_visa") -> stripe.PaymentIntent:
    intent = await intend(client, amount)
    return await client.payment_intents.confirm_async(intent.id, {"payment_method": method})


async def every(page: Any) -> list[Any]:
    return [each async for each in page.auto_paging_iter()]


async def connected(client: stripe.V1Services, **more: Any) -> str:
    """The id of a new account, which is not onboarded."""
    params: Any = {"type": "express", "capabilities": {"transfers": {"requested": True}}, **more}
    return (await client.accounts.create_async(params)).id


async def onboarded(client: stripe.V1Services, fake: FakeStripe) -> str:
    account_id = await connected(client)
    fake.onboard(account_id)
    return account_id


async def transfer(client: stripe.V1Services, destination: str, amount: int = 1000, **more: Any) -> stripe.Transfer:
    params: Any = {"amount": amount, "currency": "usd", "destination": destination, **more}
    return await client.transfers.create_async(params)
