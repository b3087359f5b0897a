"""Account links, and what somebody who opens one sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import stripe

from tests.tools.local.stripe.sdk import connected, onboarded
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

URLS: Any = {"refresh_url": "https://digis.test/again?a=1&b=2", "return_url": "https://digis.test/done?a=1&b=2"}


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as browser:
        yield browser


async def link_to(client: stripe.V1Services, account_id: str, **more: Any) -> stripe.AccountLink:
    params: Any = {"account": account_id, "type": "account_onboarding", **more}
    return await client.account_links.create_async(params)


async def test_link_is_made_for_five_minutes_when_it_is_asked_for(client: stripe.V1Services, fake: FakeStripe) -> None:
    account_id = await connected(client)
    link = await link_to(client, account_id, **URLS)
    assert link.url.startswith(f"{fake.url}/setup/c/{account_id}/")
    assert (link.object, link.expires_at - link.created) == ("account_link", 300)
    assert "id" not in link
    assert (await link_to(client, account_id, **URLS)).url != link.url


async def test_account_is_onboarded_and_its_owner_sent_back_when_the_link_is_opened(
    client: stripe.V1Services, fake: FakeStripe, browser: httpx.AsyncClient
) -> None:
    account_id = await connected(client)
    link = await link_to(client, account_id, **URLS)
    fake.reset_counters()
    for _ in range(2):
        page = await browser.get(link.url)
        assert page.status_code == 200
        assert account_id in page.text
        assert 'content="2; url=https://digis.test/done?a=1&amp;b=2"' in page.text
    assert fake.accounts[account_id]["payouts_enabled"] is True
    assert [event["type"] for event in fake.events] == ["account.updated"]
    assert fake.requests == 0  # of the API


async def test_page_leads_nowhere_when_there_is_no_return_url(
    client: stripe.V1Services, fake: FakeStripe, browser: httpx.AsyncClient
) -> None:
    account_id = await connected(client)
    page = await browser.get((await link_to(client, account_id)).url)
    assert page.status_code == 200
    assert "url=" not in page.text
    assert fake.accounts[account_id]["details_submitted"] is True


async def test_owner_is_sent_for_a_new_link_when_it_has_expired(
    client: stripe.V1Services, fake: FakeStripe, browser: httpx.AsyncClient
) -> None:
    account_id = await connected(client)
    link = await link_to(client, account_id, **URLS)
    fake.advance(300)
    page = await browser.get(link.url)
    assert page.status_code == 410
    assert "https://digis.test/again?a=1&amp;b=2" in page.text
    assert fake.accounts[account_id]["details_submitted"] is False


async def test_nobody_is_onboarded_when_the_link_is_wrong_or_the_account_closed(
    client: stripe.V1Services, fake: FakeStripe, browser: httpx.AsyncClient
) -> None:
    account_id = await connected(client)
    link = await link_to(client, account_id)
    assert (await browser.get(f"{link.url}x")).status_code == 404
    fake.close_account(account_id)
    assert (await browser.get(link.url)).status_code == 403
    assert fake.accounts[account_id]["details_submitted"] is False


async def test_link_is_opened_when_the_api_is_down(
    client: stripe.V1Services, fake: FakeStripe, browser: httpx.AsyncClient
) -> None:
    link = await link_to(client, await connected(client))
    await fake.faults.set(Mode.DOWN)
    assert (await browser.get(link.url)).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"account": "acct_none"},
        {"type": "account_update"},
        {"type": ""},
        {"return_url": "digis.test"},
        {"refresh_url": "javascript:alert(1)"},
    ],
)
async def test_link_is_refused_when_its_parameters_are_wrong(client: stripe.V1Services, wrong: Any) -> None:
    account_id = await connected(client)
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await link_to(client, **{"account_id": account_id, **wrong})
    assert (raised.value.http_status, raised.value.param) == (400, next(iter(wrong)))


async def test_link_is_refused_when_the_account_is_closed(client: stripe.V1Services, fake: FakeStripe) -> None:
    account_id = await onboarded(client, fake)
    fake.close_account(account_id)
    with pytest.raises(stripe.InvalidRequestError):
        await link_to(client, account_id)
