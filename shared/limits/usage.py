"""How much of each policy is used, and who is denied: counted in the process, written with trips that happen anyway.

One hash a policy and day holds `hour:allowed` and `hour:denied`; one sorted set a policy and hour, who was denied.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from shared.limits.policies import Policy
from shared.upstash import keys
from shared.upstash.batch import Command

FLUSH_SECONDS: Final = 1.0  # at most this often: each count is a command that Upstash bills
KEPT: Final = keys.WEEK
MOST_IDENTITIES: Final = 20  # of those denied between two flushes: a flood from many addresses is still a few commands

Count = tuple[str, str]  # key and field


class Usage:
    """The counts that are not written yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._flushed_at = clock()
        self._sums: Counter[Count] = Counter()
        self._denied: Counter[Count] = Counter()
        self._lasting: set[str] = set()  # keys that have been given their time to live

    def note(self, policy: Policy, *, allowed: bool, identity: str = "") -> None:
        """Count one request; `identity` is the key of the tier that denied it."""
        hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
        key = keys.key(keys.COUNTER, "usage", policy.name, hour[:10])
        self._sums[key, f"{hour[11:]}.{'allowed' if allowed else 'denied'}"] += 1
        if not allowed:
            place = (keys.key(keys.COUNTER, "denied", policy.name, hour), identity)
            if place in self._denied or len(self._denied) < MOST_IDENTITIES:
                self._denied[place] += 1

    def forget(self) -> None:
        self._flushed_at = self._clock()
        self._sums.clear()
        self._denied.clear()
        self._lasting.clear()

    def take(self, *, now: bool = False) -> Taken | None:
        """What is due to be written, or None. Until it is settled it is counted nowhere else."""
        if not self._sums or (not now and self._clock() - self._flushed_at < FLUSH_SECONDS):
            return None
        self._flushed_at = self._clock()
        taken = Taken(self, self._sums, self._denied)
        self._sums, self._denied = Counter(), Counter()
        return taken

    def expiries(self, taken_keys: set[str]) -> list[Command]:
        """A time to live for each key that has none from this process yet."""
        fresh = taken_keys - self._lasting
        self._lasting |= fresh
        return [["EXPIRE", key, KEPT] for key in sorted(fresh)]

    def put_back(self, sums: Counter[Count], denied: Counter[Count], keys_of: set[str]) -> None:
        self._sums += sums
        self._denied += denied
        self._lasting -= keys_of


class Taken:
    """Counts on their way to Redis."""

    def __init__(self, usage: Usage, sums: Counter[Count], denied: Counter[Count]) -> None:
        self._usage = usage
        self._sums = sums
        self._denied = denied
        self._keys = {key for key, _ in (*sums, *denied)}

    def commands(self) -> list[Command]:
        sums: list[Command] = [["HINCRBY", key, field, count] for (key, field), count in self._sums.items()]
        denied: list[Command] = [["ZINCRBY", key, count, who] for (key, who), count in self._denied.items()]
        return sums + denied + self._usage.expiries(self._keys)

    def not_sent(self) -> None:
        """Count them again: it is certain that Redis did not. What may have arrived is not written twice."""
        self._usage.put_back(self._sums, self._denied, self._keys)
