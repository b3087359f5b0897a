"""A creator whose earnings the test makes, a clock, and people who read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest

from functions.analytics import service
from shared import sessions
from shared.postgres import pool
from shared.settings import settings
from tests.functions.analytics.readers import Clock, Past, Reader
from tests.functions.payments.conftest import fan, luna, new_buyer, owner, owner_url, world  # noqa: F401 -- fixtures
from tests.functions.payments.world import World

OPS_TOKEN = "ops-of-a-test"

SignIn = Callable[[str], Awaitable[str]]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """At noon, today unless the test sets it: midnight does not come while a test runs."""
    clock = Clock(datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0))
    monkeypatch.setattr(service, "now", clock)
    return clock


@pytest.fixture
def sign_in(digis: httpx.AsyncClient) -> SignIn:
    """A session token of a user, by their id."""

    async def sign_in(user_id: str) -> str:
        async with pool.database().transaction() as transaction:
            return (await sessions.begin(transaction, user_id, ip="127.0.0.1", user_agent="")).token

    return sign_in


@pytest.fixture
def past(world: World) -> Past:  # noqa: F811 -- the fixture that is imported above
    return Past(world)


@pytest.fixture
async def creator(past: Past, digis: httpx.AsyncClient, sign_in: SignIn) -> Reader:
    """Somebody new, who has earned nothing yet."""
    user_id = await past.world.person(creator=True)
    return Reader(digis, user_id, {"X-Session-Id": await sign_in(user_id)})


@pytest.fixture
def operator(creator: Reader, fresh_process: pytest.MonkeyPatch) -> Reader:
    """An operator who looks at the same creator."""
    fresh_process.setenv("OPS_TOKEN", OPS_TOKEN)
    settings.cache_clear()
    return Reader(creator.http, creator.creator_id, {"Authorization": f"Bearer {OPS_TOKEN}"})
