"""Upstash's own Python clients, sync and async, unchanged and with their default settings."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import upstash_ratelimit
import upstash_ratelimit.asyncio
import upstash_redis
import upstash_redis.asyncio
from upstash_ratelimit import FixedWindow, SlidingWindow, TokenBucket
from upstash_redis.errors import UpstashError

from tools.local.rest.server import RestServer

# What the sync clients do, in a process of their own: they would block the loop that the server runs on.
SYNC_SCRIPT = """
import sys
from upstash_redis import Redis
from upstash_redis.errors import UpstashError
from upstash_ratelimit import FixedWindow, Ratelimit, SlidingWindow, TokenBucket

redis = Redis(url=sys.argv[1], token="local")
assert redis.set("k", "v\\u00e9", ex=100) is True
assert redis.get("k") == "v\\u00e9"
assert redis.incr("n") == 1
assert redis.hset("h", values={"a": "1", "b": "2"}) == 2
assert redis.hgetall("h") == {"a": "1", "b": "2"}
assert redis.zadd("z", {"one": 1, "two": 2}) == 2
assert redis.zrange("z", 0, -1, withscores=True) == [("one", 1.0), ("two", 2.0)]
pipeline = redis.pipeline()
pipeline.set("p", "1")
pipeline.incr("p")
assert pipeline.exec() == [True, 2]
transaction = redis.multi()
transaction.set("t", "1")
transaction.get("t")
assert transaction.exec() == [True, "1"]
sha = redis.script_load("return ARGV[1]")
assert redis.evalsha(sha, args=["hi"]) == "hi"
assert redis.script_exists(sha) == [True]
try:
    redis.incr("k")
except UpstashError as error:
    assert "not an integer" in str(error)
else:
    raise AssertionError("no error")
for limiter in (
    FixedWindow(max_requests=3, window=60),
    SlidingWindow(max_requests=3, window=60),
    TokenBucket(max_tokens=3, refill_rate=1, interval=60),
):
    limit = Ratelimit(redis=redis, limiter=limiter, prefix=type(limiter).__name__)
    allowed = [limit.limit("me").allowed for _ in range(5)]
    assert allowed == [True, True, True, False, False], allowed
    assert limit.get_remaining("me") == 0
redis.close()
print("all of it")
"""


@pytest.fixture
async def redis(rest: RestServer) -> AsyncIterator[upstash_redis.asyncio.Redis]:
    client = upstash_redis.asyncio.Redis(url=rest.url, token="local")
    yield client
    await client.close()


async def test_sync_clients_work_unchanged(rest: RestServer) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", SYNC_SCRIPT, rest.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out.decode().strip()) == (0, "all of it"), err.decode()


async def test_async_values_of_every_kind(redis: upstash_redis.asyncio.Redis) -> None:
    assert await redis.set("k", "vé", ex=100)
    assert await redis.get("k") == "vé"
    assert not await redis.set("k", "other", nx=True)
    assert await redis.mget("k", "none") == ["vé", None]
    assert await redis.incrbyfloat("f", 1.5) == 1.5
    assert await redis.hset("h", values={"a": "1", "b": "2"}) == 2
    assert await redis.hgetall("h") == {"a": "1", "b": "2"}
    assert await redis.sadd("s", "x", "y") == 2
    assert sorted(await redis.smembers("s")) == ["x", "y"]
    assert await redis.zadd("z", {"one": 1, "two": 2}) == 2
    assert await redis.zrange("z", 0, -1, withscores=True) == [("one", 1.0), ("two", 2.0)]
    assert await redis.rpush("l", "1", "2") == 2
    assert await redis.lrange("l", 0, -1) == ["1", "2"]
    assert await redis.geoadd("g", (13.4, 52.5, "berlin")) == 1
    assert await redis.getdel("k") == "vé"
    assert (await redis.scan(0))[0] == 0
    assert await redis.ping() == "PONG"


async def test_async_pipeline_and_transaction(redis: upstash_redis.asyncio.Redis) -> None:
    pipeline = redis.pipeline()
    pipeline.set("p", "1").incr("p").get("p")
    assert await pipeline.exec() == [True, 2, "2"]
    transaction = redis.multi()
    transaction.set("t", "1")
    transaction.hset("h", "f", "v")
    assert await transaction.exec() == [True, 1]


async def test_async_scripts(redis: upstash_redis.asyncio.Redis) -> None:
    script = "#!lua flags=allow-key-locking\nreturn {KEYS[1], ARGV[1]}"
    assert await redis.eval(script, keys=["k"], args=["a"]) == ["k", "a"]
    sha = await redis.script_load(script)
    assert await redis.evalsha(sha, keys=["k"], args=["b"]) == ["k", "b"]
    assert await redis.script_exists(sha, "0" * 40) == [True, False]


async def test_async_errors_are_the_sdk_own(redis: upstash_redis.asyncio.Redis) -> None:
    await redis.set("k", "text")
    with pytest.raises(UpstashError, match="not an integer"):
        await redis.incr("k")


@pytest.mark.parametrize(
    "limiter",
    [
        FixedWindow(max_requests=3, window=60),
        SlidingWindow(max_requests=3, window=60),
        TokenBucket(max_tokens=3, refill_rate=1, interval=60),
    ],
    ids=lambda limiter: type(limiter).__name__,
)
async def test_async_limiters(redis: upstash_redis.asyncio.Redis, limiter: upstash_ratelimit.FixedWindow) -> None:
    limit = upstash_ratelimit.asyncio.Ratelimit(redis=redis, limiter=limiter)
    assert [(await limit.limit("me")).allowed for _ in range(5)] == [True, True, True, False, False]
    assert await limit.get_remaining("me") == 0
    assert (await limit.limit("you")).allowed
