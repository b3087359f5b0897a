"""The two-bucket weighted sliding window, in Python: the twin of lua/admit.lua, for when Redis is out.

Times are in milliseconds. A differential test holds the two, and upstash_ratelimit's SlidingWindow, together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """What one tier of one identity has used: in the fixed window `index`, and in the one before it."""

    index: int = 0
    current: int = 0
    previous: int = 0

    def roll_to(self, index: int) -> None:
        """Move on to a later window; an earlier one is left alone (the clock went back)."""
        if index == self.index + 1:
            self.index, self.current, self.previous = index, 0, self.current
        elif index > self.index:
            self.index, self.current, self.previous = index, 0, 0

    def weight(self, now_ms: int, window_ms: int) -> int:
        """What counts against the quota now: all of this window, and what is left of the one before."""
        return self.current + _weigh(self.previous, now_ms - self.index * window_ms, window_ms)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait_ms`: until one request would pass, when none would now; otherwise until the window ends."""

    admitted: bool
    remaining: int
    wait_ms: int

    @property
    def full(self) -> bool:
        """Whether it is this tier that denied the request; its neighbours may have had room."""
        return not self.admitted and self.remaining == 0


def admit(buckets: list[Bucket], quota: int, window_ms: int, now_ms: int, cost: int = 1) -> list[Verdict]:
    """Charge every bucket, or none when one of them is full; one verdict each, `admitted` the same in all."""
    for bucket in buckets:
        bucket.roll_to(now_ms // window_ms)
    since = [now_ms - bucket.index * window_ms for bucket in buckets]
    weights = [
        bucket.current + _weigh(bucket.previous, elapsed, window_ms)
        for bucket, elapsed in zip(buckets, since, strict=True)
    ]
    admitted = all(weight + cost <= quota for weight in weights)
    verdicts = []
    for bucket, elapsed, before in zip(buckets, since, weights, strict=True):
        if admitted:
            bucket.current += cost
        weight = before + cost if admitted else before
        full = weight + cost > quota
        wait = _wait(bucket, elapsed, quota - cost, window_ms) if full else window_ms - elapsed
        verdicts.append(Verdict(admitted, max(0, quota - weight), wait))
    return verdicts


def _weigh(count: int, elapsed: int, window_ms: int) -> int:
    # The same order of operations as the script: floats would round differently in another. `elapsed` is below
    # zero when the clock went back: then the window counts as not yet begun.
    return math.floor((1 - max(0, elapsed) / window_ms) * count)


def _wait(bucket: Bucket, elapsed: int, room: int, window_ms: int) -> int:
    if room < 0:
        return 2 * window_ms
    if bucket.current <= room:
        return _admissible_from(bucket.previous, room - bucket.current, window_ms) - elapsed
    return window_ms - elapsed + _admissible_from(bucket.current, room, window_ms)


def _admissible_from(count: int, room: int, window_ms: int) -> int:
    """The first millisecond at which `count`, counted in the window before, weighs at most `room`."""
    elapsed = max(0, math.floor(window_ms * (1 - (room + 1) / count))) if count else 0
    while elapsed < window_ms and _weigh(count, elapsed, window_ms) > room:
        elapsed += 1
    return elapsed
