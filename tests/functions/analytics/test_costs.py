"""What analytics costs: trips, commands and queries; index ranges and no table; and when something is out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from functions.analytics import repository
from shared.postgres.pool import Database
from tests.functions.analytics.readers import Clock, Past, Reader, cache_of, code_of, queries_of
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer


@pytest.fixture
def no_usage_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They ride along once a second: when that is, is not the test's to say."""
    monkeypatch.setattr("shared.limits.gate.usage.take", lambda: None)


@pytest.mark.usefixtures("no_usage_counts")
async def test_fresh_read_is_one_trip_and_no_query(creator: Reader, operator: Reader, rest: RestServer) -> None:
    for what in ("earnings", "summary", "supporters"):
        await creator.get(what)  # every script is known from here on
    await rest.command("DEL", *[key.decode() for key in await rest.command("KEYS", "analytics:*")])
    seen: dict[str, tuple[int, int, int]] = {}
    for what in ("earnings", "summary", "supporters"):
        for outcome, reader in (("miss", creator), ("hit", creator), ("operator", operator)):
            await rest.reset_counters()
            answer = await reader.get(what)
            seen[f"{what}, {outcome}"] = (rest.requests, await rest.executed(), queries_of(answer))
    assert seen == {
        "earnings, miss": (3, 17, 2),
        "earnings, hit": (1, 7, 0),
        "earnings, operator": (1, 6, 0),
        "summary, miss": (2, 12, 1),  # of today it is known already
        "summary, hit": (1, 7, 0),
        "summary, operator": (1, 6, 0),
        "supporters, miss": (2, 11, 2),
        "supporters, hit": (1, 6, 0),
        "supporters, operator": (1, 5, 0),
    }


async def test_with_postgres_out_what_is_cached_is_served_stale(
    creator: Reader, operator: Reader, rest: RestServer, proxy: FaultProxy
) -> None:
    for what in ("earnings", "summary", "supporters"):
        await creator.get(what)
    for key in await rest.command("KEYS", "analytics:*"):
        head, _, body = (await rest.command("GET", key.decode())).decode().partition("\n")
        kind, _, rest_of_head = head.partition(":")
        await rest.command("SET", key.decode(), f"{kind[:2]}5:{rest_of_head}\n{body}")
    await proxy.set(ProxyMode.REFUSE)
    for reader in (creator, operator):
        for what in ("earnings", "summary", "supporters"):
            answer = await reader.get(what)
            assert (answer.status_code, answer.headers["x-cache"]) == (200, "stale")
    missing = await creator.get("earnings", to="2026-01-01")
    assert code_of(missing) == (503, "upstream_unavailable")
    assert missing.headers["retry-after"] == "2"


async def test_with_upstash_out_it_goes_on_from_postgres(creator: Reader, operator: Reader, rest: RestServer) -> None:
    await creator.get("earnings")
    await rest.faults.set(Mode.REFUSE)
    for reader in (creator, operator):
        for what in ("earnings", "summary", "supporters"):
            answer = await reader.get(what)
            assert cache_of(answer)[0] == "miss"
            assert answer.headers["x-ratelimit-mode"] == "local"
    await rest.faults.set(Mode.OK)


async def test_every_sum_is_a_range_of_an_index(
    creator: Reader, past: Past, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read from the index alone, and no day more than was asked for. At this size a planner that may choose
    takes the table."""
    fans = [await past.world.person() for _ in range(10)]
    charges = [(clock.at - timedelta(hours=n), fans[n % 10], 10) for n in range(480)]
    await past.spent(creator.creator_id, charges)
    await past.owner.execute("VACUUM ANALYZE ledger_postings")
    await past.owner.execute("VACUUM ANALYZE charges")
    asked: list[tuple[str, tuple[Any, ...]]] = []

    async def note(_: Database, sql: str, *arguments: Any) -> list[Any]:
        asked.append((sql, arguments))
        return []

    async def note_row(_: Database, sql: str, *arguments: Any) -> None:
        asked.append((sql, arguments))

    monkeypatch.setattr(Database, "fetch", note)
    monkeypatch.setattr(Database, "fetchrow", note_row)
    today = clock.at.date()
    await repository.earnings(creator.creator_id, today - timedelta(days=9), today - timedelta(days=1))
    await repository.past(creator.creator_id, today)
    await repository.today(creator.creator_id, today)
    await repository.list_supporters(creator.creator_id, after=None, limit=25)
    await past.owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    scans = [
        (question, node)
        for question, (sql, arguments) in enumerate(asked)
        for node in _nodes(json.loads(await past.owner.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *arguments)))
    ]
    postings = {question: node for question, node in scans if node.get("Relation Name") == "ledger_postings"}
    assert set(postings) == {0, 1, 2}
    for node in postings.values():
        assert (node["Node Type"], node["Index Name"]) == ("Index Only Scan", "ledger_postings_by_account")
        assert all(column in node["Index Cond"] for column in ("account_id", "created_at"))
    assert postings[0]["Actual Rows"] == 9 * 24
    charged = [(question, node["Index Name"]) for question, node in scans if node.get("Relation Name") == "charges"]
    assert charged == [
        (1, "charges_by_supporter"),
        (2, "charges_transfer_id_key"),
        (2, "charges_by_supporter"),
        (3, "charges_by_supporter"),
    ]


def _nodes(plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of these plans and of all below them."""
    found = [plan.get("Plan", plan) for plan in plans]
    return [each for node in found for each in (node, *_nodes(node.get("Plans", [])))]
