"""What the demo's people have at the fake Stripe: accounts that can be paid, and the money to pay them from."""

from __future__ import annotations

from pathlib import Path

from tests.tools.local.stripe.endpoint import Endpoint
from tests.tools.local.stripe.sdk import connect, transfer
from tools.local.demo import seed_stripe
from tools.local.demo_stripe import FUNDS_CENTS
from tools.local.stripe.server import FakeStripe


async def test_accounts_are_those_of_creators_who_have_onboarded(stripe: FakeStripe) -> None:
    for account_id, account in stripe.accounts.items():
        assert account["id"] == account_id
        assert (account["object"], account["type"], account["country"]) == ("account", "express", "US")
        assert account["capabilities"] == {"transfers": "active"}
        assert account["payouts_enabled"]
        assert account["details_submitted"]
        assert account["requirements"]["disabled_reason"] is None
        for name in ("currently_due", "eventually_due", "past_due", "pending_verification"):
            assert account["requirements"][name] == []
        assert account["external_accounts"]["url"] == f"/v1/accounts/{account_id}/external_accounts"


async def test_demo_creator_can_be_paid(stripe: FakeStripe) -> None:
    async with connect(stripe) as client:
        paid = await transfer(client, "acct_demo_luna", 5000)
        assert (await client.accounts.retrieve_async("acct_demo_luna")).payouts_enabled
    assert paid.destination == "acct_demo_luna"
    assert stripe.available_cents == FUNDS_CENTS - 5000


async def test_nobody_is_told_of_them() -> None:
    endpoint = Endpoint()
    await endpoint.start()
    try:
        async with FakeStripe(delay_seconds=0, webhook_url=endpoint.url) as fake:
            seed_stripe(fake)
            await fake.delivered()
            assert (fake.events, endpoint.payloads) == ([], [])
    finally:
        await endpoint.stop()


async def test_restarted_with_its_file_the_fake_has_them_once(tmp_path: Path) -> None:
    file = tmp_path / "stripe.json"
    async with FakeStripe(state_file=file) as before, connect(before) as client:
        seed_stripe(before)
        await transfer(client, "acct_demo_luna", 5000)
    for _ in range(2):
        async with FakeStripe(state_file=file) as after, connect(after) as client:
            assert after._store.tables == before._store.tables
            seed_stripe(after)
            assert after._store.tables == before._store.tables
            assert (await client.accounts.retrieve_async("acct_demo_yuki")).payouts_enabled
            assert after.balance_cents == FUNDS_CENTS - 5000


async def test_accounts_that_were_made_otherwise_stay_beside_them(tmp_path: Path) -> None:
    """A file of an earlier version has other accounts and other money in it."""
    file = tmp_path / "stripe.json"
    async with FakeStripe(state_file=file) as before, connect(before) as client:
        own = await client.accounts.create_async({"type": "express"})
        before.top_up(700)
    async with FakeStripe(state_file=file) as after:
        seed_stripe(after)
        assert (len(after.accounts), own.id in after.accounts) == (51, True)
        assert after.balance_cents == FUNDS_CENTS + 700
