"""The demo's fans and creators, signed in; and whether the books are right after each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import Services
from tests.functions.payments.audit import audit
from tests.functions.payments.payees import Payees
from tests.functions.payments.people import Buyer
from tests.functions.payments.reconciling import Log, log_of, unheard
from tests.functions.payments.world import World, without_hurry, world_of
from tests.support import new_token
from tools.local.stripe.server import FakeStripe

NewBuyer = Callable[[str], Awaitable[Buyer]]
Audit = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def new_buyer(digis: httpx.AsyncClient, stripe: FakeStripe) -> NewBuyer:
    """Sign in as one of the demo's people."""

    async def new_buyer(username: str) -> Buyer:
        return Buyer(digis, stripe, username, await new_token(username))

    return new_buyer


@pytest.fixture
async def fan(new_buyer: NewBuyer) -> Buyer:
    """Has 10,000 tokens."""
    return await new_buyer("fan")


@pytest.fixture
async def poor(new_buyer: NewBuyer) -> Buyer:
    """A creator who has earnings and no tokens to spend."""
    return await new_buyer("mika")


@pytest.fixture
async def luna(new_buyer: NewBuyer) -> Buyer:
    return await new_buyer("luna")


@pytest.fixture
def owner_url(services: Services, database_name: str) -> str:
    return services.postgres.url(database_name, "owner")


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection that may do what the functions may not."""
    connection = await asyncpg.connect(owner_url, timeout=5)
    yield connection
    await connection.close(timeout=5)


@pytest.fixture
async def world(
    digis: httpx.AsyncClient, owner_url: str, stripe: FakeStripe, fresh_process: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """People, money and Stripe below the gate, where no limit is in the way."""
    without_hurry(fresh_process)
    async with world_of(owner_url, stripe) as world:
        yield world


@pytest.fixture
async def payees(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Payees]:
    """A world of which no webhook tells."""
    async with unheard(world, request) as payees:
        yield payees


@pytest.fixture
async def log(payees: Payees, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Log]:
    """What is logged from now on."""
    with log_of(caplog) as log:
        yield log


@pytest.fixture
def books(owner_url: str, stripe: FakeStripe) -> Audit:
    """What is wrong with the books, in words."""

    async def books() -> list[str]:
        return await audit(owner_url, stripe)

    return books


@pytest.fixture(autouse=True)
def strangers_are_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reconcile finds at Stripe, and what is none of ours, it books without waiting whether it is."""
    monkeypatch.setattr("functions.payments.books.YOUNG_SECONDS", -60)


@pytest.fixture(autouse=True)
async def books_are_right(request: pytest.FixtureRequest, books: Audit) -> AsyncIterator[None]:
    """Each test ends with books that are right, unless it says that it plants a fault."""
    yield
    if "plants_a_fault" not in request.keywords:
        assert await books() == []
