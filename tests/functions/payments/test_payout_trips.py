"""What payouts and reconcile cost: Upstash requests of each path, every script being known, and queries."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from tests.functions.payments.people import Buyer
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

Cost = tuple[int, int, int]  # trips, commands, queries

ASKED = {"tokens": 1000}
CRON = {"Authorization": "Bearer cron-local"}


@pytest.fixture(autouse=True)
def no_usage_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They ride along once a second: when that is, is not the test's to say."""
    monkeypatch.setattr("shared.limits.gate.usage.take", lambda: None)


@pytest.fixture(autouse=True)
async def all_is_told(digis: httpx.AsyncClient, stripe: FakeStripe) -> AsyncIterator[None]:
    """Webhooks make trips of their own: they are held until the end."""
    stripe.webhooks.set(Delivery.HELD)
    yield
    await _tell(stripe)


async def _tell(stripe: FakeStripe) -> None:
    await stripe.delivered()
    stripe.webhooks.set(Delivery.NORMAL)
    await stripe.delivered()
    stripe.webhooks.set(Delivery.HELD)


async def _cost(rest: RestServer, answer: httpx.Response) -> Cost:
    """Of what was done since the last time."""
    found = re.search(r'trips;desc="(\d+)", queries;desc="(\d+)"', answer.headers["server-timing"])
    assert found is not None
    cost = (rest.requests, await rest.executed(), int(found[2]))
    assert cost[0] == int(found[1]), "the access line says the same"
    await rest.reset_counters()
    return cost


async def _know_the_scripts(creator: Buyer, rest: RestServer) -> None:
    """And the session: from here on nothing is new."""
    await creator.post("payouts", {"tokens": 400_000_000})
    await rest.reset_counters()


async def test_each_path_of_a_payout_makes_its_trips_and_no_more(
    luna: Buyer, stripe: FakeStripe, rest: RestServer, owner: asyncpg.Connection[Any]
) -> None:
    await _know_the_scripts(luna, rest)
    seen: dict[str, Cost] = {}
    seen["sent"] = await _cost(rest, await luna.post("payouts", ASKED, "key"))
    seen["repeated"] = await _cost(rest, await luna.post("payouts", ASKED, "key"))
    seen["one is open"] = await _cost(rest, await luna.post("payouts", ASKED))
    seen["list"] = await _cost(rest, await luna.get("payouts"))
    await _tell(stripe)
    await rest.reset_counters()
    seen["not enough"] = await _cost(rest, await luna.post("payouts", {"tokens": 400_000_000}))
    seen["of no form"] = await _cost(rest, await luna.post("payouts", {"tokens": 1}))
    lock = f"lock:payout:creator:{luna.user_id}"
    await rest.command("SET", lock, "somebody else's")
    seen["lock is held"] = await _cost(rest, await luna.post("payouts", ASKED))
    await rest.command("DEL", lock)
    await owner.execute("UPDATE users SET email_verified_at = NULL WHERE username = 'luna'")
    seen["unverified"] = await _cost(rest, await luna.post("payouts", ASKED))
    await owner.execute("DELETE FROM payout_accounts")
    await owner.execute("UPDATE users SET email_verified_at = now() WHERE username = 'luna'")
    seen["no account"] = await _cost(rest, await luna.post("payouts", ASKED))
    seen["no session"] = await _cost(rest, await luna.http.post("/payments/payouts", json=ASKED))
    assert {name for name, (trips, _, _) in seen.items() if trips > 3} == set()
    assert {name: (trips, queries) for name, (trips, _, queries) in seen.items()} == {
        "sent": (3, 15),
        "repeated": (3, 2),
        "one is open": (3, 6),
        "list": (1, 1),
        "not enough": (3, 8),
        "of no form": (1, 0),
        "lock is held": (2, 0),
        "unverified": (3, 3),
        "no account": (3, 4),
        "no session": (0, 0),
    }


async def test_payout_that_fails_while_it_is_sent_makes_no_more_trips(
    luna: Buyer, stripe: FakeStripe, rest: RestServer
) -> None:
    await _know_the_scripts(luna, rest)
    stripe.accounts["acct_demo_luna"]["capabilities"] = {"transfers": "inactive"}
    trips, _, _ = await _cost(rest, await luna.post("payouts", ASKED))
    assert trips <= 3


async def test_payout_account_makes_one_trip(luna: Buyer, rest: RestServer, owner: asyncpg.Connection[Any]) -> None:
    await _know_the_scripts(luna, rest)
    known = await _cost(rest, await luna.post("payout-account", None))
    await owner.execute("DELETE FROM payout_accounts")
    made = await _cost(rest, await luna.post("payout-account", None))
    assert (known[0], known[2], made[0], made[2]) == (1, 3, 1, 3)


async def test_event_of_a_payout_makes_one_trip_and_its_repeat_none(
    luna: Buyer, stripe: FakeStripe, rest: RestServer
) -> None:
    await luna.post("payouts", ASKED)
    await stripe.delivered()
    event = next(one for one in stripe.events if one["type"] == "transfer.created")
    trips = []
    for _ in range(2):
        await rest.reset_counters()
        assert await stripe.deliver(event) == 200
        trips.append(rest.requests)
    assert trips == [1, 0]


async def test_reconcile_with_nothing_to_do_makes_two_trips_at_the_most(luna: Buyer, rest: RestServer) -> None:
    await _know_the_scripts(luna, rest)
    await luna.http.post("/payments/reconcile", headers=CRON)  # the first looks a day back, in parts
    await rest.reset_counters()
    for method in ("GET", "POST"):
        answer = await luna.http.request(method, "/payments/reconcile", headers=CRON)
        assert answer.json() == {"success": True, "resumed": 0, "settled": 0, "failed": 0, "drained": 0}
        trips, _, queries = await _cost(rest, answer)
        assert (trips, queries) == (1, 17)
    refused = await luna.http.get("/payments/reconcile")
    assert (refused.status_code, refused.json()["code"]) == (401, "operator_required")
    assert await _cost(rest, refused) == (1, 4, 0)
