"""Somebody new for each test, and other addresses to come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.conftest import Post
from tests.functions.auth.people import Person

NewPerson = Callable[[], Person]


@pytest.fixture
def new_person(digis: httpx.AsyncClient, post: Post) -> NewPerson:
    return lambda: Person(digis, post.mailbox)


@pytest.fixture
def person(new_person: NewPerson) -> Person:
    return new_person()


@pytest.fixture
async def from_address(digis: httpx.AsyncClient) -> AsyncIterator[Callable[[int], httpx.AsyncClient]]:
    """HTTP clients with other addresses: on Linux all of 127/8 is this machine."""
    async with AsyncExitStack() as stack:
        clients = {}
        for number in range(2, 12):
            transport = httpx.AsyncHTTPTransport(local_address=f"127.0.0.{number}")
            client = httpx.AsyncClient(base_url=digis.base_url, transport=transport, timeout=10)
            clients[number] = await stack.enter_async_context(client)
        yield clients.__getitem__
