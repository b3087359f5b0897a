"""What a cached value looks like in Redis: one string that carries its own soft expiry and ETag.

    1v1763890000000:5f0c...\\n{"success":true,...}
    1a1763890000000:\\n

Version, `v` for a value or `a` for a remembered absence, fresh until (Unix milliseconds), ETag, and the body as it
will be sent: a hit is served without being parsed.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_VERSION: Final = "1"
_JITTER: Final = 0.1  # of the time: values stored together do not expire together


def now_ms() -> int:
    """The wall clock, which the fleet shares well enough for expiries of seconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached body, or the knowledge that there is none (`body` is None)."""

    body: str | None
    fresh_until_ms: int
    etag: str = ""

    @classmethod
    def of(cls, body: str | None, soft_seconds: float) -> Entry:
        """Fresh from now on; `soft_seconds` is shortened by up to a tenth."""
        etag = sha256(body.encode()).hexdigest()[:32] if body is not None else ""
        return cls(body, now_ms() + int(jittered(soft_seconds) * 1000), etag)

    @property
    def is_fresh(self) -> bool:
        return now_ms() < self.fresh_until_ms

    def encode(self) -> str:
        kind = "a" if self.body is None else "v"
        return f"{_VERSION}{kind}{self.fresh_until_ms}:{self.etag}\n{self.body or ''}"

    @classmethod
    def decode(cls, raw: str | None) -> Entry | None:
        """Return None for what this version did not write: whatever it is, it is a miss."""
        if raw is None or raw[:1] != _VERSION or raw[1:2] not in {"v", "a"}:
            return None
        head, newline, body = raw.partition("\n")
        fresh_until, colon, etag = head[2:].partition(":")
        if not newline or not colon or not fresh_until.isdecimal():
            return None
        return cls(body if head[1] == "v" else None, int(fresh_until), etag)


def jittered(seconds: float) -> float:
    return seconds * (1 - _JITTER * random.random())  # noqa: S311 -- spreads load, guards nothing
