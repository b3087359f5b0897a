"""What streams cost: Upstash requests and commands of each operation, every script being known, and queries."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.functions.streams.people import UNKNOWN, Person, fill
from tools.local.rest.server import RestServer

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


async def test_each_operation_makes_its_trips_and_no_more(
    luna: Person, mika: Person, fan: Person, nobody: Person, rest: RestServer
) -> None:
    warm = await luna.go_live()
    await fan.watch(warm)
    await nobody.watch(warm)
    await nobody.live()
    await mika.end(warm)
    await luna.end(warm)  # every script is known from here on, and each session
    await rest.command("DEL", "stream:live", "stream:beats", "stream:counts", "stream:crowds", "stream:peaks")
    seen: dict[str, Cost] = {}
    await rest.reset_counters()
    begun = await luna.start()
    stream_id = begun.json()["stream"]["id"]
    seen["start"] = await _cost(rest, begun)
    seen["start, live already"] = await _cost(rest, await luna.start())
    seen["start, of no form"] = await _cost(rest, await luna.start(5))
    seen["start, no session"] = await _cost(rest, await nobody.start())
    seen["watch, new"] = await _cost(rest, await nobody.watch(stream_id, "a"))
    seen["watch, again"] = await _cost(rest, await nobody.watch(stream_id, "a"))
    seen["watch, signed in"] = await _cost(rest, await fan.watch(stream_id))
    seen["watch, unknown"] = await _cost(rest, await fan.watch(UNKNOWN))
    seen["heartbeat"] = await _cost(rest, await luna.beat(stream_id))
    seen["heartbeat, another's"] = await _cost(rest, await mika.beat(stream_id))
    seen["heartbeat, unknown"] = await _cost(rest, await luna.beat(UNKNOWN))
    seen["list"] = await _cost(rest, await nobody.http.get("/streams/live"))
    seen["list, of no form"] = await _cost(rest, await nobody.http.get("/streams/live?limit=0"))
    seen["show, live"] = await _cost(rest, await nobody.http.get(f"/streams/{stream_id}"))
    seen["show, unknown"] = await _cost(rest, await nobody.http.get(f"/streams/{UNKNOWN}"))
    await rest.command("DEL", "stream:live", "stream:shown")
    await rest.reset_counters()
    seen["watch, lost"] = await _cost(rest, await fan.watch(stream_id))
    seen["end"] = await _cost(rest, await luna.end(stream_id))
    seen["end, again"] = await _cost(rest, await luna.end(stream_id))
    seen["show, over"] = await _cost(rest, await nobody.http.get(f"/streams/{stream_id}"))

    assert seen == {
        "start": (2, 20, 5),
        "start, live already": (1, 5, 3),
        "start, of no form": (1, 5, 0),
        "start, no session": (0, 0, 0),
        "watch, new": (2, 20, 0),
        "watch, again": (2, 12, 0),
        "watch, signed in": (2, 19, 0),
        "watch, unknown": (2, 10, 1),
        "heartbeat": (2, 24, 1),
        "heartbeat, another's": (1, 10, 1),
        "heartbeat, unknown": (1, 8, 1),
        "list": (1, 8, 0),
        "list, of no form": (1, 6, 0),
        "show, live": (1, 9, 0),
        "show, unknown": (1, 7, 1),
        "watch, lost": (3, 32, 1),
        "end": (2, 18, 5),
        "end, again": (1, 8, 1),
        "show, over": (1, 7, 1),
    }


async def test_page_of_a_thousand_costs_what_a_page_of_one_does(nobody: Person, rest: RestServer) -> None:
    """One script: admission in four commands, what is gone in two, the page and what it shows in one each."""
    ids = await fill([n % 50 for n in range(1000)])
    await nobody.live()
    await rest.reset_counters()
    answer = await nobody.http.get("/streams/live?limit=100")
    assert (rest.requests, await rest.executed()) == (1, 8)
    assert [one["id"] for one in answer.json()["streams"]] == ids[:100]
    await rest.reset_counters()
    await nobody.http.get("/streams/live", params={"limit": 100, "cursor": answer.json()["next_cursor"]})
    assert (rest.requests, await rest.executed()) == (1, 8)
