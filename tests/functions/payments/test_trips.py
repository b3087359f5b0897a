"""What payments cost: Upstash requests and commands of each operation, every script being known, and queries."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.functions.payments.people import Buyer
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

Cost = tuple[int, int, int]  # trips, commands, queries


@pytest.fixture(autouse=True)
def no_usage_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They ride along once a second: when that is, is not the test's to say."""
    monkeypatch.setattr("shared.limits.gate.usage.take", lambda: None)


async def _cost(rest: RestServer, answer: httpx.Response) -> Cost:
    """Of what was done since the last time."""
    found = re.search(r'trips;desc="(\d+)", queries;desc="(\d+)"', answer.headers["server-timing"])
    assert found is not None
    cost = (rest.requests, await rest.executed(), int(found[2]))
    assert cost[0] == int(found[1]), "the access line says the same"
    await rest.reset_counters()
    return cost


async def test_each_operation_makes_its_trips_and_no_more(fan: Buyer, luna: Buyer, rest: RestServer) -> None:
    await fan.charge("luna", 5)
    await fan.balance()  # every script is known from here on, and both sessions
    await luna.balance()
    seen: dict[str, Cost] = {}
    await rest.reset_counters()
    seen["packages"] = await _cost(rest, await fan.get("packages"))
    seen["balance, hit"] = await _cost(rest, await fan.get("balance"))
    seen["history"] = await _cost(rest, await fan.get("history"))
    bought = await fan.purchase("t100", "key")
    await fan.stripe.delivered()  # payment_intent.created, which makes no trip
    seen["purchase"] = await _cost(rest, bought)
    seen["purchase, repeated"] = await _cost(rest, await fan.purchase("t100", "key"))
    purchase_id = bought.json()["purchase"]["id"]
    seen["purchase, shown"] = await _cost(rest, await fan.get(f"purchases/{purchase_id}"))
    seen["charge"] = await _cost(rest, await fan.charge("luna", 5, "key"))
    seen["charge, repeated"] = await _cost(rest, await fan.charge("luna", 5, "key"))
    seen["charge, refused"] = await _cost(rest, await fan.charge("luna", 100_000))
    seen["charge, of no form"] = await _cost(rest, await fan.charge("luna", 0))
    seen["balance, miss"] = await _cost(rest, await fan.get("balance"))
    seen["no session"] = await _cost(rest, await fan.http.get("/payments/balance"))

    assert seen == {
        "packages": (1, 4, 0),
        "balance, hit": (1, 6, 0),
        "history": (1, 5, 1),
        "purchase": (1, 7, 7),
        "purchase, repeated": (1, 7, 2),
        "purchase, shown": (1, 5, 1),
        "charge": (2, 8, 10),
        "charge, repeated": (1, 7, 2),
        "charge, refused": (1, 7, 5),
        "charge, of no form": (1, 7, 0),
        "balance, miss": (2, 11, 1),
        "no session": (0, 0, 0),
    }


async def test_event_that_settles_makes_one_trip_and_its_repeat_none(
    fan: Buyer, rest: RestServer, stripe: FakeStripe
) -> None:
    made = await fan.begin()
    stripe.webhooks.set(Delivery.HELD)
    stripe.confirm(made["payment_intent"])
    await stripe.delivered()
    event = next(one for one in stripe.events if one["type"] == "payment_intent.succeeded")
    trips = []
    for _ in range(2):
        await rest.reset_counters()
        stripe.reset_counters()
        assert await stripe.deliver(event) == 200
        trips.append((rest.requests, await rest.executed(), stripe.requests))
    assert trips == [(1, 1, 3), (0, 0, 0)]


async def test_balance_is_kept_and_dropped_by_a_charge_for_both(fan: Buyer, luna: Buyer) -> None:
    async def outcomes() -> list[str]:
        return [(await one.get("balance")).headers["x-cache"] for one in (fan, luna)]

    assert await outcomes() == ["miss", "miss"]
    assert await outcomes() == ["hit", "hit"]
    assert (await fan.charge("luna", 5, "key")).status_code == 201
    assert await outcomes() == ["miss", "miss"]
    assert await outcomes() == ["hit", "hit"]
    assert (await fan.charge("luna", 100_000)).status_code == 402
    assert (await fan.charge("luna", 5, "key")).headers["idempotency-replayed"] == "true"
    await fan.begin()
    assert await outcomes() == ["hit", "hit"], "nothing has moved"
    await fan.buy()
    assert await outcomes() == ["miss", "hit"]


async def test_balance_is_nobody_elses(fan: Buyer, luna: Buyer, rest: RestServer) -> None:
    await fan.balance()
    assert (await luna.get("balance")).headers["x-cache"] == "miss"
    keys = {key.decode() for key in await rest.command("KEYS", "token:*")}
    assert keys == {f"token:balance:{fan.user_id}", f"token:balance:{luna.user_id}"}
