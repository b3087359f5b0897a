"""A zygote, and a world to die in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.conftest import Services
from tests.functions.payments.crash.clock import Clock
from tests.functions.payments.crash.doomed import Zygote
from tests.functions.payments.crash.world import World
from tests.functions.payments.crash.zygote import be_patient
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with Zygote.start() as zygote:
        yield zygote


@pytest.fixture
def patience(fresh_process: pytest.MonkeyPatch) -> None:
    """In the process that is asked again, too, no deadline is reached on a busy machine."""
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "10000")
    fresh_process.setenv("STRIPE_DEADLINE_MS", "12000")
    be_patient(fresh_process.setattr)


@pytest.fixture
def app_url(services: Services, database_name: str) -> str:
    """Those who die go to Postgres itself, pooler or not: that it noticed is seen by a lock of their session."""
    return services.postgres.url(database_name)


@pytest.fixture
async def world(
    patience: None,
    digis: httpx.AsyncClient,
    app_url: str,
    owner_url: str,
    rest: RestServer,
    stripe: FakeStripe,
    zygote: Zygote,
    tmp_path: Path,
) -> AsyncIterator[World]:
    """The tests say which events are delivered, and when."""
    stripe.webhooks.set(Delivery.HELD)
    owner = await asyncpg.connect(owner_url, timeout=10)
    try:
        clock = await Clock.begin(tmp_path / "clock", owner, stripe, rest)
        yield World(digis, stripe, rest, zygote, owner, owner_url, app_url, clock)
    finally:
        await owner.close(timeout=10)
