"""What is to be done at a later time, in one task."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

_TOGETHER_SECONDS: Final = 0.05  # what one change puts off has not the same microsecond

Act = Callable[[], Awaitable[None]]


class Agenda:
    """Does what is due, one after another. What is due together is first put in order by `arrange`."""

    def __init__(self) -> None:
        self.arrange: Callable[[list[Act]], list[Act]] = list
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
        self._forget()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _forget(self) -> None:
        self._entries.clear()
        self._idle.set()

    async def _run(self) -> None:
        while True:
            for act in self.arrange(await self._due()):
                await act()
            if not self._entries:
                self._idle.set()

    async def _due(self) -> list[Act]:
        """Wait for the first, and take all that are due by then."""
        while not self._entries or self._entries[0][0] > time.monotonic():
            self._added.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._entries[0][0] - time.monotonic() if self._entries else None):
                    await self._added.wait()
        together, due = time.monotonic() + _TOGETHER_SECONDS, []
        while self._entries and self._entries[0][0] <= together:
            due.append(heapq.heappop(self._entries)[2])
        return due
