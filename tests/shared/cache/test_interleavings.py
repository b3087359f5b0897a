"""A fill begun before an invalidation is refused: every order of every step, not a sample of them.

Readers lease, load and fill; a writer commits and then drops. Whatever the order, nobody finds the old value fresh in
the cache once the writer is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shared.cache import lease
from shared.cache.entry import Entry, Fetched, State
from shared.cache.space import Space
from tests.shared.cache.conftest import Put, Thing
from tools.local.rest.server import RestServer

READER = ("lease", "load", "fill")
WRITER = ("commit", "drop")


def orders(*actors: tuple[str, ...]) -> Iterator[list[tuple[int, str]]]:
    """Every way to interleave the actors' steps, each actor's own in their order."""
    if not any(actors):
        yield []
    for place, actor in enumerate(actors):
        if actor:
            for rest in orders(*actors[:place], actor[1:], *actors[place + 1 :]):
                yield [(place, actor[0]), *rest]


@dataclass
class World:
    """The truth, and what each reader holds."""

    key: str
    redis: RestServer
    truth: str = "old"
    fetched: dict[int, Fetched] = field(default_factory=dict)
    loaded: dict[int, str] = field(default_factory=dict)

    async def step(self, actor: int, name: str) -> None:
        if name == "lease":
            self.fetched[actor] = await lease.ask(self.key)
        elif name == "load":
            self.loaded[actor] = self.truth
        elif name == "fill" and self.fetched[actor].state is State.LEASED_TO_US:
            entry = Entry.of(self.loaded[actor])
            await lease.fill(self.key, self.fetched[actor].token, entry, fresh_ms=60_000, kept_ms=300_000)
        elif name == "commit":
            self.truth = "new"
        elif name == "drop":
            await self.redis.command("DEL", self.key)


def _body(found: Fetched) -> str | None:
    entry = Entry.decode(found.raw)
    return entry.body if entry else None


@pytest.mark.parametrize("before", ["nothing", "stale"])
@pytest.mark.parametrize("readers", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_no_order_leaves_the_old_value(
    things: Space[Thing], redis: RestServer, put: Put, readers: int, before: str
) -> None:
    key = things.key("a")
    count = 0
    for order in orders(*[READER] * readers, WRITER):
        await redis.command("DEL", key)
        if before == "stale":
            await put(key, "old")
        world = World(key, redis)
        for actor, name in order:
            await world.step(actor, name)
        found = await lease.ask(key)
        assert found.state is not State.FRESH or _body(found) == "new", order
        count += 1
    assert count == {1: 10, 2: 560}[readers]


async def test_rule_can_be_broken_by_a_fill_that_is_not_checked(things: Space[Thing], redis: RestServer) -> None:
    """The same search with a plain SET in place of the fill: it finds the order that leaves the old value."""
    key = things.key("a")
    broken = []
    for order in orders(READER, WRITER):
        await redis.command("DEL", key)
        world = World(key, redis)
        for actor, name in order:
            if name == "fill":
                await redis.command("SET", key, f"1v9999999999999:::0\n{world.loaded[actor]}")
            else:
                await world.step(actor, name)
        found = await lease.ask(key)
        if found.state is State.FRESH and _body(found) == "old":
            broken.append([name for _, name in order])
    assert ["lease", "load", "commit", "drop", "fill"] in broken


async def test_lease_given_to_another_refuses_the_first_ones_fill(things: Space[Thing], redis: RestServer) -> None:
    key = things.key("a")
    first = await lease.ask(key)
    await redis.command("DEL", key)
    second = await lease.ask(key)
    assert second.state is State.LEASED_TO_US
    assert not await lease.fill(key, first.token, Entry.of("old"), fresh_ms=60_000, kept_ms=300_000)
    assert await lease.fill(key, second.token, Entry.of("new"), fresh_ms=60_000, kept_ms=300_000)
    assert not await lease.fill(key, second.token, Entry.of("again"), fresh_ms=60_000, kept_ms=300_000)
    assert _body(await lease.ask(key)) == "new"


async def test_lease_of_another_cannot_be_given_back(things: Space[Thing], redis: RestServer) -> None:
    key = things.key("a")
    await lease.ask(key)
    await lease.give_back(key, lease.token())
    assert (await lease.ask(key)).state is State.LEASED_TO_ANOTHER
