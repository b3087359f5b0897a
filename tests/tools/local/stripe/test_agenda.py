"""The agenda: one after another or several at a time, and idle only when all is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tools.local.stripe.agenda import Agenda


@pytest.fixture
async def agenda() -> AsyncIterator[Agenda]:
    agenda = Agenda()
    agenda.start()
    yield agenda
    await agenda.stop()


class Acts:
    """Acts that stay under way until they are let go."""

    def __init__(self) -> None:
        self.under_way = 0
        self.done = 0
        self.let_go = asyncio.Event()
        self._changed = asyncio.Condition()

    async def act(self) -> None:
        async with self._changed:
            self.under_way += 1
            self._changed.notify_all()
        await self.let_go.wait()
        self.under_way -= 1
        self.done += 1

    async def begun(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.under_way == count)


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("at_once", "begun"), [(1, 1), (3, 3), (8, 5)])
async def test_so_many_are_under_way_when_none_of_them_ends(agenda: Agenda, at_once: int, begun: int) -> None:
    acts = Acts()
    agenda.at_once = lambda: at_once
    for _ in range(5):
        agenda.add(0, acts.act)
    await acts.begun(begun)
    await turns()
    assert acts.under_way == begun
    done = asyncio.create_task(agenda.done())
    await turns()
    assert not done.done()
    acts.let_go.set()
    await done
    assert acts.done == 5


async def test_what_comes_later_is_done_when_an_earlier_one_hangs(agenda: Agenda) -> None:
    hanging, later = Acts(), Acts()
    later.let_go.set()
    agenda.at_once = lambda: 2
    agenda.add(0, hanging.act)
    await hanging.begun(1)
    finished = asyncio.Event()

    async def last() -> None:
        finished.set()

    for act in (later.act, later.act, last):
        agenda.add(0, act)
    await finished.wait()
    assert (later.done, hanging.done) == (2, 0)


async def test_one_at_a_time_waits_for_all_when_several_are_under_way(agenda: Agenda) -> None:
    first, second = Acts(), Acts()
    agenda.at_once = lambda: 2
    agenda.add(0, first.act)
    agenda.add(0, first.act)
    await first.begun(2)
    agenda.at_once = lambda: 1
    agenda.add(0, second.act)
    await turns()
    assert second.under_way == 0
    first.let_go.set()
    await second.begun(1)
    assert first.done == 2
    second.let_go.set()
    await agenda.done()


@pytest.mark.parametrize("at_once", [1, 8])
async def test_error_is_whose_who_waits_when_an_act_raises(at_once: int) -> None:
    agenda = Agenda()
    agenda.at_once = lambda: at_once
    agenda.start()

    async def wrong() -> None:
        raise ValueError("wrong")

    agenda.add(0, wrong)
    with pytest.raises(ValueError, match="wrong"):
        await agenda.done()
    with pytest.raises(ValueError, match="wrong"):
        await agenda.stop()


async def test_nothing_runs_on_when_it_is_stopped(agenda: Agenda) -> None:
    acts = Acts()
    agenda.at_once = lambda: 2
    for _ in range(3):
        agenda.add(0, acts.act)
    await acts.begun(2)
    await agenda.stop()
    await agenda.done()
    acts.let_go.set()
    await turns()
    assert acts.done == 0
