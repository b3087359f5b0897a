"""The demo's people, who stream and watch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.functions.streams.people import Person
from tests.support import new_token

NewPerson = Callable[[str], Awaitable[Person]]


@pytest.fixture
def sign_in(digis: httpx.AsyncClient) -> NewPerson:
    async def sign_in(username: str) -> Person:
        return Person(digis, username, await new_token(username))

    return sign_in


@pytest.fixture
async def luna(sign_in: NewPerson) -> Person:
    return await sign_in("luna")


@pytest.fixture
async def mika(sign_in: NewPerson) -> Person:
    return await sign_in("mika")


@pytest.fixture
async def fan(sign_in: NewPerson) -> Person:
    return await sign_in("fan")


@pytest.fixture
def nobody(digis: httpx.AsyncClient) -> Person:
    """Not signed in."""
    return Person(digis)
