"""A cached read beside the query that it saves: a year of the best known creator, over a million postings.

Both as the service does it in one process: a value through the Upstash client, and the same value from Postgres.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from functions.analytics import service
from functions.analytics.schemas import EarningsQuery
from functions.analytics.service import Days
from shared import snapshot
from shared.http.queries import PageQuery
from shared.postgres.pool import database
from shared.upstash.client import upstash
from tools.bench.measure import Result, Round, interleave, ratio
from tools.bench.server import dev_server, free_port
from tools.local.demo import demo_id
from tools.local.demo_large import load_large
from tools.local.env_file import read_env, read_state

POSTINGS: Final = 1_000_000
LEAST_TIMES: Final = 10.0
_CREATOR: Final = str(demo_id("luna"))
_DAYS: Final = 365
_CALLS: Final = {"cached": 30, "query": 5}
_REQUESTS: Final = {"cached": 10, "query": 3}  # under the operator's quota

Load = Callable[[], Awaitable[Any]]


async def measure(rounds: int, postings: int = POSTINGS) -> list[Result]:
    """How many times a cached read goes into its query, for each of what analytics keeps."""
    with tempfile.TemporaryDirectory(prefix="digis-bench-") as name, dev_server(Path(name), free_port()) as url:
        state = read_state(Path(name))
        assert state is not None
        await load_large(state.owner_url, postings, lambda _done, _wanted: None)
        env = read_env(Path(name))
        os.environ.update(env)
        snapshot.forget()  # the settings that this process may have read before
        try:
            return [*await _values(rounds), await _requests(rounds, url, env)]
        finally:
            await database().close()
            if client := upstash():
                await client.close()


async def _values(rounds: int) -> list[Result]:
    at = datetime.now(UTC)
    yesterday = at.date() - timedelta(days=1)
    query = EarningsQuery.model_validate({"from": str(at.date() - timedelta(days=_DAYS)), "to": str(yesterday)})
    days = Days.of(_CREATOR, query, at)
    kept: dict[str, tuple[str, Load, Load]] = {
        "cached": _pair("a year of earnings", service.past_earnings, lambda: service.load_past(days, yesterday)),
        "cached_summary": _pair(
            "a summary", service.past_summaries, lambda: service.load_past_summary(_CREATOR, at.date())
        ),
        "cached_supporters": _pair(
            "supporters", service.supporters, lambda: service.list_supporters(_CREATOR, PageQuery())
        ),
    }
    results = []
    for id_, (what, cached, load) in kept.items():
        await cached()  # fills it
        figures = await interleave(
            {"cached": _mean(cached, _CALLS["cached"]), "query": _mean(load, _CALLS["query"])}, rounds
        )
        target = LEAST_TIMES if id_ == "cached" else None
        name = f"query of {what}, cached read = 1"
        results.append(ratio(id_, name, figures["query"], figures["cached"], target=target, at_least=True))
    return results


def _pair(what: str, space: Any, load: Load) -> tuple[str, Load, Load]:
    """What it is, a read of it that is cached after the first, and what that saves."""
    return what, lambda: space.get_or_load("bench", load=load), load


async def _requests(rounds: int, url: str, env: dict[str, str]) -> Result:
    """The same as whole requests, with all that both have in common."""
    headers = {"Authorization": f"Bearer {env['OPS_TOKEN']}"}
    first = datetime.now(UTC).date() - timedelta(days=_DAYS)
    path = f"/analytics/creator/{_CREATOR}/earnings?from={first}"
    client = upstash()
    assert client is not None
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as http:

        async def ask(expected: str) -> float:
            if expected == "miss":
                await client.run(["DEL", *await client.keys("analytics:earnings:*")])
            started = time.perf_counter()
            answer = await http.get(path)
            spent = time.perf_counter() - started
            if answer.headers.get("x-cache") != expected:
                raise RuntimeError(f"{answer.status_code}, {answer.headers.get('x-cache')} in the place of {expected}")
            return spent

        async def mean(expected: str, calls: int) -> float:
            return sum([await ask(expected) for _ in range(calls)]) / calls

        await http.get(path)
        figures = await interleave(
            {"cached": lambda: mean("hit", _REQUESTS["cached"]), "query": lambda: mean("miss", _REQUESTS["query"])},
            rounds,
        )
    name = "request for a year of earnings, cached = 1"
    return ratio("cached_request", name, figures["query"], figures["cached"])


def _mean(work: Load, calls: int) -> Round:
    async def mean() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            await work()
        return (time.perf_counter() - started) / calls

    return mean
