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
