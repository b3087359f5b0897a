"""Single flight: in one process, one caller computes a value and the others wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Flights:
    """The computations under way, by key and event loop."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, asyncio.AbstractEventLoop], asyncio.Future[Any]] = {}

    async def once(self, key: str, compute: Callable[[], Awaitable[T]]) -> T:
        """Return what `compute` returns or raise what it raises; whoever comes meanwhile gets the same.

        When the caller that computes is cancelled, one of those who waited takes over.
        """
        loop = asyncio.get_running_loop()
        place = (key, loop)
        while (flight := self._under_way.get(place)) is not None:
            try:
                result: T = await asyncio.shield(flight)
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise  # it is this caller that was cancelled, not the one that computes
            else:
                return result
        flight = self._under_way[place] = loop.create_future()
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
