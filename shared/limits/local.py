"""What one process remembers by itself: who is blocked, and what was used while Redis is out.

Both are bounded. A process that forgets an entry too soon costs a trip, or lets a few more through.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from shared.limits.policies import Policy
from shared.limits.window import Bucket, Verdict, admit

MOST_IDENTITIES: Final = 10_000  # about 2 MB: a flood of addresses pushes out the oldest, not the process
MOST_BLOCKED_MS: Final = 10_000  # an operator's reset reaches every process within this


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class BlockList:
    """Identities known to be denied, so that their next request costs no trip."""

    def __init__(self, clock_ms: Callable[[], int] = _monotonic_ms) -> None:
        self.clock_ms = clock_ms
        self._blocked: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def block(self, key: str, wait_ms: int, *, since_ms: int) -> None:
        """Remember for the wait, 10 s at most, that `key` is denied for `wait_ms`. Redis was asked at `since_ms`.

        Not from when the answer came: the wait had begun by then, and whoever another process told of it must be let
        in here too when it is over.
        """
        self._blocked[key] = (since_ms + min(wait_ms, MOST_BLOCKED_MS), since_ms + wait_ms)
        self._blocked.move_to_end(key)
        if len(self._blocked) > MOST_IDENTITIES:
            self._blocked.popitem(last=False)

    def wait_ms(self, key: str) -> int:
        """Milliseconds that `key` has still to wait, or 0 when it is not known to be blocked."""
        entry = self._blocked.get(key)
        if entry is None:
            return 0
        forget_at, free_at = entry
        now = self.clock_ms()
        if now >= forget_at:
            del self._blocked[key]
            return 0
        return free_at - now

    def clear(self) -> None:
        self._blocked.clear()


class MemoryLimiter:
    """The same window and quotas within one process, for policies that stay open while Upstash is out."""

    def __init__(self, clock_ms: Callable[[], int] = _monotonic_ms) -> None:
        self._clock_ms = clock_ms
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def admit(self, policy: Policy, keys: list[str]) -> list[Verdict]:
        buckets = [self._bucket(key) for key in keys]
        return admit(buckets, policy.quota, policy.window_ms, self._clock_ms())

    def clear(self) -> None:
        self._buckets.clear()

    def _bucket(self, key: str) -> Bucket:
        bucket = self._buckets.setdefault(key, Bucket())
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST_IDENTITIES:
            self._buckets.popitem(last=False)
        return bucket
