"""What is to be done at a later time, in one task."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

_TOGETHER_SECONDS: Final = 0.05  # what one change puts off has not the same microsecond

Act = Callable[[], Awaitable[None]]


class Agenda:
    """Does what is due, up to `at_once` acts at a time: one after another, when that is 1.

    What is due together is first put in order by `arrange`.
    """

    def __init__(self) -> None:
        self.arrange: Callable[[list[Act]], list[Act]] = list
        self.at_once: Callable[[], int] = lambda: 1
        self._waiting: deque[Act] = deque()  # due, arranged, not begun
        self._under_way: set[asyncio.Future[None]] = set()
        self._error: BaseException | None = None
        self._numbers = itertools.count()
        self._entries: list[tuple[float, int, Act]] = []
        self._added = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[Any] | None = None

    def add(self, seconds: float, act: Act) -> None:
        """Do it so many seconds from now."""
        heapq.heappush(self._entries, (time.monotonic() + seconds, next(self._numbers), act))
        self._added.set()
        self._idle.clear()

    async def done(self) -> None:
        """Wait until there is nothing left to do, at once or later. Raise what an act raised."""
        if self._task is None and self._entries:
            raise RuntimeError("nothing is done before it is started")
        idle = asyncio.ensure_future(self._idle.wait())
        waiting = {idle} if self._task is None else {idle, self._task}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        await asyncio.gather(idle, return_exceptions=True)
        if self._task is not None and self._task.done():
            self._task.result()

    def start(self) -> None:
        self._forget()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Leave undone what is not done, and forget it."""
        task, self._task = self._task, None
        under_way = set(self._under_way)
        for each in under_way if task is None else {task, *under_way}:
            each.cancel()
        self._forget()
        await asyncio.gather(*under_way, return_exceptions=True)
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _forget(self) -> None:
        self._entries.clear()
        self._waiting.clear()
        self._under_way.clear()
        self._error = None
        self._idle.set()

    async def _run(self) -> None:
        while True:
            self._waiting.extend(self.arrange(await self._due()))
            while self._waiting:
                await self._begin()
            self._rest()

    async def _begin(self) -> None:
        """Do the next alone, or set it going when there is room beside those under way."""
        while len(self._under_way) >= self.at_once():
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        if self.at_once() == 1:
            await self._waiting.popleft()()
            return
        task = asyncio.ensure_future(self._waiting.popleft()())
        self._under_way.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Future[None]) -> None:
        self._under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._rest()
        else:
            self._error = error
            self._added.set()

    def _rest(self) -> None:
        if not (self._entries or self._waiting or self._under_way):
            self._idle.set()

    async def _due(self) -> list[Act]:
        """Wait for the first, and take all that are due by then."""
        while not self._entries or self._entries[0][0] > time.monotonic():
            self._added.clear()
            if self._error is not None:
                raise self._error  # here, where `done` finds it, as if the act had been done alone
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._entries[0][0] - time.monotonic() if self._entries else None):
                    await self._added.wait()
        together, due = time.monotonic() + _TOGETHER_SECONDS, []
        while self._entries and self._entries[0][0] <= together:
            due.append(heapq.heappop(self._entries)[2])
        return due
