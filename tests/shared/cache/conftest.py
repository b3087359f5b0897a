"""A space of values, and a way to put what a test wants into Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from pydantic import BaseModel

from shared.cache.entry import Entry
from shared.cache.space import Space
from shared.cache.spaces import PROFILES
from shared.upstash import keys
from tests.support import close_clients
from tools.local.rest.server import RestServer

Put = Callable[..., Awaitable[None]]


class Thing(BaseModel):
    word: str


class Loads:
    """A load that counts itself."""

    def __init__(self) -> None:
        self.count = 0
        self.answer: Thing | Exception | None = Thing(word="new")

    async def __call__(self) -> Thing | None:
        self.count += 1
        await asyncio.sleep(0.005)  # as long as a query
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def things() -> Space[Thing]:
    return Space(keys.TEMP, "thing", Thing, PROFILES)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
async def redis(rest: RestServer, fresh_process: pytest.MonkeyPatch) -> AsyncIterator[RestServer]:
    """The REST server, with this process's client on it."""
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    yield rest
    await close_clients()


@pytest.fixture
def put(redis: RestServer) -> Put:
    """Put a value that is fresh until (Unix milliseconds) and perhaps leased."""

    async def put(key: str, body: str | None, *, fresh_until: int = 0, token: str = "", leased_until: int = 0) -> None:
        entry = Entry.of(body)
        value = f"1{entry.kind}{fresh_until}:{entry.etag}:{token}:{leased_until}\n{body or ''}"
        await redis.command("SET", key, value, "EX", "300")

    return put
