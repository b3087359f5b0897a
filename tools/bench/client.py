"""What a call costs the client: ours beside the stock upstash_redis, on the same server in another process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from upstash_redis.asyncio import Redis

from shared.upstash.client import Upstash
from tools.bench.measure import Result, Round, interleave, median, ratio
from tools.bench.server import upstash_server

CONCURRENT: Final = (1, 16, 50)
VALUE: Final = "x" * 300  # a profile
CALLS: Final = {"ours": 2000, "stock": 400}
MOST_MICROSECONDS_AT_16: Final = 120.0
LEAST_TIMES_STOCK_AT_50: Final = 10.0


async def measure(rounds: int) -> list[Result]:
    """CPU microseconds a call, and calls a second, at each number of concurrent callers."""
    results = []
    with upstash_server() as url:
        clients: dict[str, Any] = {"ours": Upstash(url, "local"), "stock": Redis(url, "local")}
        await clients["ours"].set("k", VALUE)
        for concurrent in CONCURRENT:
            cpu = await interleave({n: _round(c, concurrent, CALLS[n], _cpu) for n, c in clients.items()}, rounds)
            rate = await interleave({n: _round(c, concurrent, CALLS[n], _rate) for n, c in clients.items()}, rounds)
            at = f"at {concurrent} concurrent"
            target = MOST_MICROSECONDS_AT_16 if concurrent == 16 else None  # noqa: PLR2004
            results += [
                median(f"client_cpu_{concurrent}", f"client CPU, µs a call {at}", cpu["ours"], target=target),
                median(f"stock_cpu_{concurrent}", f"stock client CPU, µs a call {at}", cpu["stock"]),
                ratio(
                    f"client_rps_{concurrent}",
                    f"calls a second, stock = 1, {at}",
                    rate["ours"],
                    rate["stock"],
                    target=LEAST_TIMES_STOCK_AT_50 if concurrent == 50 else None,  # noqa: PLR2004
                    at_least=True,
                ),
            ]
        await clients["ours"].close()
        await clients["stock"].close()
    return results


def _round(
    client: Any, concurrent: int, calls: int, figure: Callable[[Callable[[], Awaitable[None]], int], Awaitable[float]]
) -> Round:
    async def caller() -> None:
        for _ in range(calls // concurrent):
            await client.get("k")

    async def all_callers() -> None:
        await asyncio.gather(*(caller() for _ in range(concurrent)))

    return lambda: figure(all_callers, calls // concurrent * concurrent)


async def _cpu(work: Callable[[], Awaitable[None]], calls: int) -> float:
    started = time.process_time()
    await work()
    return (time.process_time() - started) / calls * 1e6


async def _rate(work: Callable[[], Awaitable[None]], calls: int) -> float:
    started = time.perf_counter()
    await work()
    return calls / (time.perf_counter() - started)
