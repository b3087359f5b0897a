"""Switches that break the server on purpose."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Protocol


class Mode(StrEnum):
    OK = "ok"
    REFUSE = "refuse"  # nothing listens, and kept connections are cut
    HANG = "hang"  # accepted, carried out by nobody, never answered
    SLOW = "slow"  # carried out and answered late, its idempotency key in use meanwhile
    ERROR_500 = "500"  # began and came to nothing; stored, so that its idempotency key repeats it
    DOWN = "down"  # a proxy's 503: it reached nobody and is not stored
    CUT = "cut"  # carried out; half of the reply, then the connection is closed
    LOST = "lost"  # carried out; the connection is closed without a reply
    DECLINED = "declined"  # every confirmation is declined; requests are otherwise as ever


class SetListening(Protocol):
    async def __call__(self, *, listening: bool) -> None: ...


class Faults:
    """The mode of the server. `slow_seconds` is how late a slow request is carried out."""

    def __init__(self, set_listening: SetListening) -> None:
        self._set_listening = set_listening
        self._mode = Mode.OK
        self._count: int | None = None
        self._only = ""
        self._let_go = asyncio.Event()
        self._caught = 0
        self._changed = asyncio.Condition()
        self.slow_seconds = 2.0

    @property
    def mode(self) -> Mode:
        return self._mode

    async def set(self, mode: Mode, *, count: int | None = None, only: str = "") -> None:
        """Break in this way from now on, or for the next `count` requests only; `ok` mends and lets go.

        `only` are a method, the beginning of a path, or both: `POST`, `/v1/refunds`, `POST /v1/payment_intents`.
        Of `declined` the count is of confirmations. `refuse` knows no requests, so it takes neither.
        """
        if mode is Mode.REFUSE and (only or count is not None):
            raise ValueError("what is not listening sees no requests to count")
        was_refusing = self._mode is Mode.REFUSE
        self._mode, self._count, self._only = mode, count, only
        self._let_go.set()  # whoever hangs finds the connection closed, whoever is slow is carried out
        self._let_go = asyncio.Event()
        if was_refusing != (mode is Mode.REFUSE):
            await self._set_listening(listening=mode is not Mode.REFUSE)

    def next(self, method: str, path: str) -> Mode:
        """The mode for one more request."""
        if self._mode is Mode.DECLINED or not self._is_meant(method, path):
            return Mode.OK
        return self._use()

    def declines(self) -> bool:
        """Whether one more confirmation is to be declined."""
        return self._mode is Mode.DECLINED and self._use() is Mode.DECLINED

    async def hang(self) -> None:
        """Wait until the mode is set again."""
        await self._wait(None)

    async def slow(self) -> None:
        """Wait `slow_seconds`, or until the mode is set again."""
        await self._wait(self.slow_seconds)

    async def caught(self, count: int = 1) -> None:
        """Wait until so many requests are hanging or being slow."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._caught >= count)

    async def _wait(self, seconds: float | None) -> None:
        let_go = self._let_go
        await self._count_caught(1)
        try:
            async with asyncio.timeout(seconds):
                await let_go.wait()
        except TimeoutError:
            pass
        finally:
            await self._count_caught(-1)

    async def _count_caught(self, change: int) -> None:
        async with self._changed:
            self._caught += change
            self._changed.notify_all()

    def _is_meant(self, method: str, path: str) -> bool:
        wanted, _, beginning = self._only.rpartition(" ")
        if not wanted and not beginning.startswith("/"):
            wanted, beginning = beginning, ""
        return wanted in {"", method} and path.startswith(beginning)

    def _use(self) -> Mode:
        mode = self._mode
        if self._count is not None:
            self._count -= 1
            if self._count <= 0:
                self._mode, self._count = Mode.OK, None
        return mode
