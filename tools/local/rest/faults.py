"""Switches that break the server on purpose, and the round trip that it pretends to be away."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Protocol


class Mode(StrEnum):
    OK = "ok"
    REFUSE = "refuse"  # nothing listens, and kept connections are cut
    HANG = "hang"  # accepted, carried out by nobody, never answered
    SLOW = "slow"  # the reply trickles
    ERROR_500 = "500"  # a proxy's HTML page
    CUT = "cut"  # carried out; half of the reply, then the connection is closed
    LOST = "lost"  # carried out; the connection is closed without a reply


class SetListening(Protocol):
    async def __call__(self, *, listening: bool) -> None: ...


class Faults:
    """The mode of the server. `latency` is in seconds and added to every reply, whatever the mode."""

    def __init__(self, set_listening: SetListening) -> None:
        self._set_listening = set_listening
        self._mode = Mode.OK
        self._count: int | None = None
        self._changed = asyncio.Event()
        self.latency = 0.0
        self.slow_seconds = 2.0  # what a whole slow reply takes

    @property
    def mode(self) -> Mode:
        return self._mode

    async def set(self, mode: Mode, *, count: int | None = None) -> None:
        """Break in this way from now on, or for the next `count` requests only; `ok` mends and lets go."""
        was_refusing, self._mode, self._count = self._mode is Mode.REFUSE, mode, count
        self._changed.set()  # whoever hangs is let go, and finds the connection closed
        self._changed = asyncio.Event()
        if was_refusing != (mode is Mode.REFUSE):
            await self._set_listening(listening=mode is not Mode.REFUSE)

    def next(self) -> Mode:
        """The mode for one more request."""
        mode = self._mode
        if self._count is not None:
            self._count -= 1
            if self._count <= 0:
                self._mode, self._count = Mode.OK, None
        return mode

    async def hang(self) -> None:
        """Wait until the mode is changed."""
        await self._changed.wait()
