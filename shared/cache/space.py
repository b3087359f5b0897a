"""Cache-aside: a typed family of values, each loaded from the truth when the cache has none.

A value is cached as the JSON body of its response. `get_or_load` gives the model, `respond` (respond.py) the bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel

from shared.cache.entry import Entry, jittered
from shared.cache.flight import Flights
from shared.cache.spaces import Times
from shared.http.problems import UpstreamUnavailable
from shared.upstash import keys
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError

M = TypeVar("M", bound=BaseModel)

_flights: Final = Flights()


@dataclass(frozen=True, slots=True)
class Answer:
    """A cache entry and how it was come by: `hit`, `miss` or `stale`."""

    entry: Entry
    outcome: str


class Space(Generic[M]):
    """The values of one kind: `profiles = Space(keys.CREATOR, "profile", CreatorOut, PROFILES)`."""

    def __init__(self, prefix: keys.Prefix, name: str, model: type[M], times: Times) -> None:
        self._prefix = prefix
        self._name = name
        self._model = model
        self._times = times

    def key(self, *parts: str) -> str:
        """The Redis key of one value. Raise KeyPartInvalid for parts that are not fit for one."""
        return keys.key(self._prefix, self._name, *parts)

    def at(self, *names: str) -> Lookup:
        """A read to declare at the gate: the value named by these path parameters."""
        return Lookup(lambda request: self.key(*(request.path_params[name] for name in names)))

    def where(self, parts: Callable[[Request], tuple[str, ...] | None]) -> Lookup:
        """A read to declare at the gate: the value that `parts` names, or none where it returns None."""

        def key(request: Request) -> str | None:
            named = parts(request)
            return None if named is None else self.key(*named)

        return Lookup(key)

    async def get(self, *parts: str) -> M | None:
        """The cached model if it is fresh; None when there is none, or nobody answers."""
        entry = Entry.decode(await _read(self.key(*parts)))
        return self._parse(entry) if entry and entry.is_fresh else None

    async def set(self, *parts: str, value: M | None) -> None:
        """Cache a value, or that there is none."""
        await self._store(self.key(*parts), self._entry(value))

    async def get_or_load(self, *parts: str, load: Callable[[], Awaitable[M | None]]) -> M | None:
        """The fresh cached model, or what `load` returns, which is then cached (an absence too, more briefly).

        Raise what `load` raises, unless there is a stale value to serve in place of UpstreamUnavailable.
        """
        key = self.key(*parts)
        answer = await self.answer(key, await _read(key), load)
        return self._parse(answer.entry)

    async def answer(self, key: str | None, raw: str | None, load: Callable[[], Awaitable[M | None]]) -> Answer:
        """From what Redis held (`raw`), or from the truth: at most one load at a time in this process.

        Without a key, for a request that cannot name one, nothing is cached.
        """
        if key is None:
            return Answer(self._entry(await load()), "miss")
        cached = Entry.decode(raw)
        if cached and cached.is_fresh:
            return Answer(cached, "hit")

        async def fill() -> Entry:
            entry = self._entry(await load())
            await self._store(key, entry)
            return entry

        try:
            return Answer(await _flights.once(key, fill), "miss")
        except UpstreamUnavailable:
            if cached is None:
                raise
            return Answer(cached, "stale")

    def _entry(self, value: M | None) -> Entry:
        if value is None:
            return Entry.of(None, self._times.absent)
        return Entry.of(value.model_dump_json(), self._times.soft)

    def _parse(self, entry: Entry) -> M | None:
        return None if entry.body is None else self._model.model_validate_json(entry.body)

    async def _store(self, key: str, entry: Entry) -> None:
        seconds = self._times.absent if entry.body is None else self._times.hard
        client = upstash()
        if client is None:
            return
        try:
            await client.run(["SET", key, entry.encode(), "EX", max(1, round(jittered(seconds)))])
        except UpstashError:
            return  # the value was served all the same; the next caller will load it again


@dataclass(frozen=True, slots=True)
class Lookup:
    """A declared read. A request that cannot name a key has none; its validation will say why."""

    _key: Callable[[Request], str | None]

    def key(self, request: Request) -> str | None:
        try:
            return self._key(request)
        except keys.KeyPartInvalid:
            return None


async def _read(key: str) -> str | None:
    client = upstash()
    if client is None:
        return None
    try:
        (raw,) = await client.run(["GET", key])
    except UpstashError:
        return None  # a cache error is a miss
    return raw if isinstance(raw, str) else None
