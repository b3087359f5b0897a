"""Single flight: in one process, one caller computes a value and the others wait for it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

RECENT_SECONDS: Final = 1.0  # how far apart the readers of one crowd arrive; how old an answer may be in an outage
_MOST_RECENT: Final = 1000


class Flights:
    """The computations under way, by key and event loop."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, asyncio.AbstractEventLoop], asyncio.Future[Any]] = {}

    def find(self, key: str) -> asyncio.Future[Any] | None:
        """The computation under way, to wait for under a shield; None when there is none."""
        return self._under_way.get((key, asyncio.get_running_loop()))

    async def once(self, key: str, compute: Callable[[], Awaitable[T]]) -> T:
        """Return what `compute` returns or raise what it raises; whoever comes meanwhile gets the same.

        When the caller that computes is cancelled, one of those who waited takes over with its own `compute`.
        """
        while (flight := self.find(key)) is not None:
            try:
                result: T = await asyncio.shield(flight)
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise  # it is this caller that was cancelled, not the one that computes
            else:
                return result
        place = (key, asyncio.get_running_loop())
        flight = self._under_way[place] = place[1].create_future()
        try:
            value = await compute()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # looked at: nobody else may be waiting
            raise
        else:
            flight.set_result(value)
            return value
        finally:
            del self._under_way[place]


class Recent(Generic[T]):
    """What was computed a moment ago while there was no cache to put it in. A crowd does not arrive all at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, key: str) -> T | None:
        found = self._values.get(key)
        if found is None or self._clock() >= found[0]:
            return None
        return found[1]

    def put(self, key: str, value: T) -> None:
        self._values[key] = (self._clock() + RECENT_SECONDS, value)
        self._values.move_to_end(key)
        if len(self._values) > _MOST_RECENT:
            self._values.popitem(last=False)

    def forget(self, key: str) -> None:
        self._values.pop(key, None)

    def clear(self) -> None:
        self._values.clear()
