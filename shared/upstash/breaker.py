"""A circuit breaker: when Upstash is out, say so at once instead of at every deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FAILURES_TO_OPEN: Final = 5  # in a row: fewer would open on one bad packet, more would make a burst wait
OPEN_SECONDS: Final = 2.0  # recovery is noticed within 3 s: this, and one trip


class Breaker:
    """Closed: trips go. Open: none go for 2 s. Half open: one probe goes, and its end decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES_TO_OPEN

    def admit(self) -> bool:
        """Say whether a trip may go now. Each admitted trip must end in `succeeded`, `failed` or `abandoned`."""
        if not self.is_open:
            return True
        if self._probing or self._clock() - self._opened_at < OPEN_SECONDS:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._probing = False

    def failed(self) -> None:
        self._failures += 1
        self._probing = False
        if self.is_open:
            self._opened_at = self._clock()

    def abandoned(self) -> None:
        """The trip was cancelled before it could tell: a probe's place is free again."""
        self._probing = False
