"""Our window under upstash_ratelimit's own `Ratelimit`, on its clients and on ours."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from upstash_ratelimit import Ratelimit
from upstash_ratelimit.asyncio import Ratelimit as AsyncRatelimit
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis

from shared.limits.limiter import TierLimiter
from shared.limits.policies import AUTH
from shared.upstash.client import Upstash
from tools.local.rest.server import RestServer


@pytest.mark.parametrize("client", [Upstash, AsyncRedis])
async def test_all_tiers_or_none(rest: RestServer, client: Any) -> None:
    redis = client(rest.url, "local")
    ratelimit = AsyncRatelimit(redis, TierLimiter(AUTH))
    for number in range(AUTH.quota):
        response = await ratelimit.limit(f"address|account{number}")
        assert (response.allowed, response.limit, response.remaining) == (True, 5, AUTH.quota - 1 - number)
    await rest.reset_counters()
    denied = await ratelimit.limit("address|another")

    assert (denied.allowed, denied.remaining, rest.requests) == (False, 0, 1)
    assert time.time() < denied.reset <= time.time() + 2 * AUTH.window
    assert await ratelimit.get_remaining("another") == AUTH.quota
    assert await ratelimit.get_remaining("address") == 0
    assert abs(await ratelimit.get_reset("address") - denied.reset) < 5
    await redis.close()


async def test_blocking_client(rest: RestServer) -> None:
    def use() -> list[bool]:
        with Redis(rest.url, "local") as redis:
            ratelimit = Ratelimit(redis, TierLimiter(AUTH))
            allowed = [ratelimit.limit("one").allowed for _ in range(AUTH.quota + 1)]
            assert ratelimit.get_remaining("one") == 0
            assert ratelimit.get_reset("one") > time.time()
            return allowed

    assert await asyncio.to_thread(use) == [True] * AUTH.quota + [False]


async def test_cost_of_more_than_is_left_charges_nothing(rest: RestServer) -> None:
    redis = Upstash(rest.url, "local")
    ratelimit = AsyncRatelimit(redis, TierLimiter(AUTH))
    assert (await ratelimit.limit("one", rate=4)).allowed
    assert not (await ratelimit.limit("one", rate=2)).allowed
    assert (await ratelimit.limit("one", rate=1)).remaining == 0
    await redis.close()
