"""Cache-aside: a typed family of values, each loaded from the truth when the cache has none that is fresh.

A value is cached as the JSON body of its response. `get_or_load` gives the model, `respond` (respond.py) the bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel

from shared.cache import lease
from shared.cache.entry import Entry, Fetched, State, jittered_ms
from shared.cache.flight import Flights, Recent
from shared.cache.spaces import Times
from shared.http.problems import UpstreamUnavailable
from shared.postgres.transaction import Transaction
from shared.upstash import keys
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError

M = TypeVar("M", bound=BaseModel)

_flights: Final = Flights()
recent: Final[Recent[Entry]] = Recent()


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
        """The cached model if it is fresh; None when there is none, or nobody answers. Takes no lease."""
        client = upstash()
        if client is None:
            return None
        try:
            (raw,) = await client.run(["GET", self.key(*parts)])
        except UpstashError:
            return None  # a cache error is a miss
        entry = Entry.decode(raw if isinstance(raw, str) else None)
        return self.parse(entry) if entry and entry.is_fresh else None

    async def get_or_load(self, *parts: str, load: Callable[[], Awaitable[M | None]]) -> M | None:
        """The fresh cached model, or what `load` returns, which is then cached (an absence too, more briefly).

        Raise what `load` raises, unless there is a stale value to serve in place of UpstreamUnavailable.
        """
        return await self.of(await lease.ask(self.key(*parts)), load)

    async def of(self, fetched: Fetched, load: Callable[[], Awaitable[M | None]]) -> M | None:
        """`get_or_load` of what the gate has looked up already."""
        return self.parse((await self.answer(fetched, load)).entry)

    def drop(self, transaction: Transaction, *parts: str) -> None:
        """Have the value dropped when this transaction commits: no read that begins after that sees the old one."""
        key = self.key(*parts)
        recent.forget(key)
        transaction.drop_cached(key)

    async def answer(self, fetched: Fetched, load: Callable[[], Awaitable[M | None]]) -> Answer:
        """From what a lookup fetched, or from the truth: one caller in the fleet computes, if Redis can say which.

        The others are served the stale value, or wait for the first one (a second at most) where there is none.
        Without a key, for a request that cannot name one, nothing is cached.
        """
        if fetched.key is None:
            return Answer(Entry.of(_body(await load())), "miss")
        cached = Entry.decode(fetched.raw)
        if cached and fetched.state is State.FRESH:
            return Answer(cached, "hit")
        if cached and fetched.state is State.LEASED_TO_ANOTHER and not self._times.patient:
            return Answer(cached, "stale")
        try:
            return Answer(await self._fresh(fetched, load), "miss")
        except UpstreamUnavailable:
            if cached is None:
                raise
            return Answer(cached, "stale")

    async def _fresh(self, fetched: Fetched, load: Callable[[], Awaitable[M | None]]) -> Entry:
        key = fetched.key or ""

        async def compute() -> Entry:
            return Entry.of(_body(await load()))

        async def compute_and_fill() -> Entry:
            try:
                entry = await compute()
            except Exception:
                await lease.give_back(key, fetched.token)
                raise
            await self._fill(key, fetched.token, entry)
            return entry

        async def compute_and_remember() -> Entry:
            entry = await compute()
            recent.put(key, entry)
            return entry

        async def follow() -> Entry:
            found = await lease.wait(fetched, _flights.find)
            if isinstance(found, Entry):
                return found
            return await (self._fresh(found, load) if found.state is State.LEASED_TO_US else compute())

        # By the lease, not by the key: who looked after a drop must not be given what was begun before it.
        if fetched.state is State.LEASED_TO_US:
            return await _flights.once(fetched.token, compute_and_fill)
        if fetched.state is State.LEASED_TO_ANOTHER:
            return await _flights.once(f"{key} {fetched.holder}", follow)
        known = recent.get(key)  # nobody to ask: one load at a time in this process, and its answer for a moment
        return known if known is not None else await _flights.once(key, compute_and_remember)

    def parse(self, entry: Entry) -> M | None:
        """The model that an answer's entry is of."""
        return None if entry.body is None else self._model.model_validate_json(entry.body)

    async def _fill(self, key: str, token: str, entry: Entry) -> None:
        soft = self._times.absent if entry.body is None else self._times.soft
        hard = self._times.absent if entry.body is None else self._times.hard
        await lease.fill(key, token, entry, fresh_ms=jittered_ms(soft), kept_ms=jittered_ms(hard))


@dataclass(frozen=True, slots=True)
class Lookup:
    """A declared read. A request that cannot name a key has none; its validation will say why."""

    _key: Callable[[Request], str | None]

    def key(self, request: Request) -> str | None:
        try:
            return self._key(request)
        except keys.KeyPartInvalid:
            return None


def _body(value: BaseModel | None) -> str | None:
    return None if value is None else value.model_dump_json()
