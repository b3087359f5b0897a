"""What a cached value looks like in Redis: one string that carries its expiry, its ETag and the lease on it.

    1v1763890000000:5f0c...::0\\n{"success":true,...}        a value, fresh until then (Unix milliseconds)
    1v1763890000000:5f0c...:9d2e...:1763890005000\\n{...}     stale, and leased to a token until then
    1a1763890000000:::0\\n                                   it is known that there is nothing
    1l0::9d2e...:1763890005000\\n                            nothing yet, and leased

The body is what will be sent: a hit is served without being parsed. cache/lua reads and writes the same.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

_JITTER: Final = 0.1  # of the time: values stored together do not expire together
_chance: Final = random.SystemRandom()  # processes restored from one snapshot would share any other's numbers
_HEAD: Final = re.compile(r"1([val])(\d+):([0-9a-f]*):(\w*):\d+\n")


class State(IntEnum):
    """What a lookup found, by the clock of Redis (cache/lua/lookup.lua)."""

    FRESH = 0
    LEASED_TO_US = 1
    LEASED_TO_ANOTHER = 2


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a lookup brought back. `state` is None where nobody was asked or nobody answered."""

    key: str | None = None
    raw: str | None = None
    state: State | None = None
    token: str = ""

    @property
    def holder(self) -> str:
        """Who has the lease: the token that it was given to, ours or another's. A dropped value's lease is nobody's:
        whoever looks after that meets another."""
        if self.state is not State.LEASED_TO_ANOTHER:
            return self.token
        head = _HEAD.match(self.raw or "")
        return head[4] if head else ""

    @classmethod
    def of(cls, key: str, token: str, state: object, raw: object) -> Fetched:
        """From a script's answer; what is no answer of it counts as none."""
        if not isinstance(state, int) or state not in set(State):
            return cls(key)
        return cls(key, raw if isinstance(raw, str) else None, State(state), token)


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached body, or the knowledge that there is none (`body` is None)."""

    body: str | None
    etag: str = ""
    fresh_until_ms: int = 0

    @classmethod
    def of(cls, body: str | None) -> Entry:
        return cls(body, sha256(body.encode()).hexdigest()[:32] if body is not None else "")

    @classmethod
    def decode(cls, raw: str | None) -> Entry | None:
        """Return None for a bare lease, and for what this version did not write: it is a miss."""
        if raw is None or (head := _HEAD.match(raw)) is None or head[1] == "l":
            return None
        return cls(raw[head.end() :] if head[1] == "v" else None, head[3], int(head[2]))

    @property
    def kind(self) -> str:
        return "a" if self.body is None else "v"

    @property
    def is_fresh(self) -> bool:
        """By this process's clock, which the fleet shares well enough for expiries of seconds."""
        return time.time_ns() // 1_000_000 < self.fresh_until_ms


def jittered_ms(seconds: float) -> int:
    """`seconds` less up to a tenth, in milliseconds."""
    return int(seconds * 1000 * (1 - _JITTER * _chance.random()))
