"""Single flight, and what a process remembers of a moment ago."""

from __future__ import annotations

import asyncio

import pytest

from shared.cache.flight import RECENT_SECONDS, Flights, Recent


async def test_whoever_comes_meanwhile_gets_the_same() -> None:
    flights, go_on, runs = Flights(), asyncio.Event(), 0

    async def compute() -> int:
        nonlocal runs
        runs += 1
        await go_on.wait()
        return runs

    tasks = [asyncio.create_task(flights.once("k", compute)) for _ in range(10)]
    other = asyncio.create_task(flights.once("other", compute))
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*tasks) == [2] * 10  # `runs` when they were let go: this one and the other key's
    assert await other == 2
    assert flights.find("k") is None


async def test_failure_is_everybodys_and_the_next_tries_again() -> None:
    flights = Flights()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError

    found = await asyncio.gather(*(flights.once("k", fail) for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in found} == {KeyError}

    async def succeed() -> str:
        return "fine"

    assert await flights.once("k", succeed) == "fine"


async def test_cancelled_computation_is_taken_over_by_one_who_waits() -> None:
    flights, runs, begun = Flights(), 0, asyncio.Event()

    async def forever() -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    async def compute() -> str:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        return "taken over"

    first = asyncio.create_task(flights.once("k", forever))
    await begun.wait()
    others = [asyncio.create_task(flights.once("k", compute)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == ["taken over"] * 5
    assert runs == 1


async def test_cancelling_one_who_waits_leaves_the_computation() -> None:
    flights, go_on = Flights(), asyncio.Event()

    async def compute() -> str:
        await go_on.wait()
        return "fine"

    first = asyncio.create_task(flights.once("k", compute))
    second = asyncio.create_task(flights.once("k", compute))
    await asyncio.sleep(0)
    second.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await first == "fine"


def test_recent_is_remembered_for_a_moment_and_bounded() -> None:
    now = [0.0]
    recent = Recent[int](lambda: now[0])
    for number in range(1500):
        recent.put(str(number), number)
    assert (recent.get("0"), recent.get("1499"), len(recent._values)) == (None, 1499, 1000)
    recent.forget("1498")
    assert recent.get("1498") is None
    now[0] = RECENT_SECONDS
    assert recent.get("1499") is None
