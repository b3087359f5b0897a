"""Presence in a real Redis, at a time that the test chooses, and what must be true of its keys at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

from fastapi import Request

from shared.presence import viewers
from shared.presence.viewers import Glimpse, Page, Peek
from shared.upstash.scripts import CLOCK, ScriptCall
from tests.shared.limits.lua import Redis, at_chosen_time

T = TypeVar("T")

ALIVE_MS: Final = 90_000
KEPT_MS: Final = 2 * ALIVE_MS
START: Final = 1_795_428_000_000
KEYS: Final = tuple(f"stream:{name}" for name in ("live", "beats", "counts", "crowds", "peaks", "shown"))
_RIDE: Final = "\nlocal given = {}\nfor i = 1, #ARGV - 1 do given[i] = ARGV[i] end\nreturn ride(KEYS, given)"
_CHOSEN: Final = "local now = tonumber(ARGV[#ARGV])\n"


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waits for something")


@dataclass
class Presence:
    """The module's own calls. `now` is in Unix milliseconds; keys end when their time is up by it."""

    redis: Redis
    now: int = START
    _ends: dict[str, int] = field(default_factory=dict)
    _loaded: dict[str, str] = field(default_factory=dict)

    async def run(self, *calls: ScriptCall) -> list[Any]:
        """As the client does."""
        return [self._call(call.script.source, call[2:]) for call in calls]

    def beat(self, stream: str, shown: str = "{}") -> int:
        return int(at_once(self.run(viewers.beat(stream, shown)))[0])

    def finish(self, stream: str) -> None:
        at_once(self.run(viewers.finish(stream)))

    def watch(self, stream: str, *, user: str | None = None, address: str = "192.0.2.1", name: str = "") -> int | None:
        """`viewers.upstash` must be this."""
        return at_once(viewers.watch(stream, user_id=user, address=address, name=name))

    def peek(self, stream: str) -> Glimpse | None:
        return viewers.glimpse_of(self._ride(Peek(lambda _: stream)), stream)

    def page(self, limit: int, after: Glimpse | None = None) -> list[Glimpse]:
        place = (limit, None, "") if after is None else (limit, after.viewers, after.stream_id)
        found = viewers.glimpses_of(self._ride(Page(lambda _: place)))
        assert found is not None
        return found

    def pages(self, limit: int) -> list[Glimpse]:
        """All of them."""
        found = page = self.page(limit)
        while len(page) == limit:
            page = self.page(limit, after=page[-1])
            found = found + page
        return found

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds
        for key, end in list(self._ends.items()):
            if end <= self.now:
                self.redis.run([["DEL", key]])
                del self._ends[key]

    def _ride(self, ride: Peek | Page) -> Any:
        keys, arguments = ride.keys(), ride.arguments(cast("Request", SimpleNamespace()))
        source = at_chosen_time(*ride.parts) + _RIDE
        return self._call(source, [len(keys), *keys, *arguments])

    def _call(self, source: str, rest: list[Any]) -> Any:
        source = source.replace(CLOCK.read_text(encoding="utf-8"), _CHOSEN)
        if source not in self._loaded:
            self._loaded[source] = self.redis.load(source)
        (answer,) = self.redis.run([["EVALSHA", self._loaded[source], *rest, self.now]])
        for key, left in zip(KEYS, self.redis.run([["PTTL", key] for key in KEYS]), strict=True):
            assert left != -1, f"{key} is kept for ever"
            if left > KEPT_MS - 1000:  # it was just said
                self._ends[key] = self.now + KEPT_MS
        return _text(answer)


def audit(redis: Redis) -> None:
    """What the keys say of each other, whatever has happened before."""
    live, beats, counts, crowds, peaks, shown = redis.run(
        [*(["ZRANGE", key, "0", "-1", "WITHSCORES"] for key in KEYS[:3]), *(["HGETALL", key] for key in KEYS[3:])]
    )
    alive = {name for name in _pairs(live) if not name.startswith("over:")}
    watching = Counter(name[:36] for name in _pairs(beats))
    assert {name: int(count) for name, count in _pairs(counts).items() if int(count)} == watching
    assert alive <= _pairs(counts).keys() <= alive | watching.keys()
    assert _pairs(shown).keys() == alive
    of_addresses = Counter(f"{name[:36]}:{name.split(':')[2]}" for name in _pairs(beats) if name[36:].startswith(":a:"))
    assert {name: int(count) for name, count in _pairs(crowds).items()} == of_addresses
    assert not of_addresses or max(of_addresses.values()) <= viewers.ANONYMOUS_OF_ONE_ADDRESS
    assert _pairs(peaks).keys() <= _pairs(counts).keys()
    assert all(int(_pairs(peaks)[name]) >= count for name, count in watching.items())


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return dict(zip((part.decode() for part in flat[::2]), (part.decode() for part in flat[1::2]), strict=True))


def _text(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_text(part) for part in answer]
    return answer.decode() if isinstance(answer, bytes) else answer
