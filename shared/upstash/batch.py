"""Batches: commands issued in the same turn of the event loop ride in one trip.

Those that arrive while all the trips allowed are in flight ride together in the next one. Each command's error
reaches its own awaiter alone, and cancelling one awaiter leaves the others.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from shared import telemetry
from shared.upstash.errors import CircuitOpen, CommandFailed, UpstashError, UpstashRefused, UpstashUnavailable
from shared.upstash.transport import Batch, Transport

TRIPS_IN_FLIGHT: Final = 4  # more would share less and hold more sockets; fewer would queue behind one slow trip
COMMANDS_PER_TRIP: Final = 256  # far under Upstash's 10 MB a request with values of a few kilobytes

Command = Sequence[str | int | float]


@dataclass(slots=True)
class _Rider:
    """One command on its way, and who waits for it."""

    name: str
    encoded: bytes
    future: asyncio.Future[Any]
    record: telemetry.RequestRecord | None
    deadline: float

    def settle(self, result: Any | UpstashError) -> None:
        if isinstance(result, UpstashUnavailable | UpstashRefused) and self.record is not None:
            self.record.upstash_is_out = True
        if self.future.done():
            return
        if isinstance(result, UpstashError):
            # A copy each: one exception raised in many awaiters would gather all their tracebacks.
            self.future.set_exception(copy.copy(result))
        else:
            self.future.set_result(result)

    def expire(self) -> None:
        self.settle(UpstashUnavailable("no answer within the deadline"))


class Batcher:
    """Gathers commands into trips. Belongs to the event loop that it was made in."""

    def __init__(self, transport: Transport, deadline_seconds: float) -> None:
        self._transport = transport
        self._deadline_seconds = deadline_seconds
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Rider] = deque()
        self._flush_is_due = False
        self._trips: set[asyncio.Task[None]] = set()

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Queue a command for the trip that leaves in this turn of the loop.

        The future ends within the deadline: with the result, or with CommandFailed, UpstashUnavailable or
        UpstashRefused. Raise UpstashUnavailable at once when this request has already seen Upstash out, and
        CommandFailed for arguments that JSON cannot carry (a lone surrogate).
        """
        record = telemetry.current()
        if record is not None and record.upstash_is_out:
            raise UpstashUnavailable("it was out earlier in this request", maybe_applied=False)
        name = str(command[0])
        deadline = self._loop.time() + self._deadline_seconds
        rider = _Rider(name, _encode(name, command), self._loop.create_future(), record, deadline)
        timer = self._loop.call_at(deadline, rider.expire)
        rider.future.add_done_callback(lambda _: timer.cancel())
        self._queue.append(rider)
        self._schedule()
        return rider.future

    async def run_alone(self, path: str, commands: Sequence[Command]) -> list[Any]:
        """A trip of its own, for what must not be mixed with others: a transaction."""
        record = telemetry.current()
        if record is not None:
            if record.upstash_is_out:
                raise UpstashUnavailable("it was out earlier in this request", maybe_applied=False)
            record.trips += 1
        names = [str(command[0]) for command in commands]
        batch = Batch(names, [_encode(name, command) for name, command in zip(names, commands, strict=True)])
        try:
            return await self._transport.send(path, batch, deadline=self._loop.time() + self._deadline_seconds)
        except (UpstashUnavailable, UpstashRefused):
            if record is not None:
                record.upstash_is_out = True
            raise

    def _schedule(self) -> None:
        if not self._flush_is_due and len(self._trips) < TRIPS_IN_FLIGHT:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        while len(self._trips) < TRIPS_IN_FLIGHT and (riders := self._board()):
            trip = self._loop.create_task(self._carry(riders))
            self._trips.add(trip)
            trip.add_done_callback(self._ended)
            _cancel_when_deserted(trip, riders)

    def _board(self) -> list[_Rider]:
        """The next riders, less those who gave up waiting; no more than one trip takes."""
        riders: list[_Rider] = []
        while self._queue and len(riders) < COMMANDS_PER_TRIP:
            rider = self._queue.popleft()
            if not rider.future.done():
                riders.append(rider)
        return riders

    def _ended(self, trip: asyncio.Task[None]) -> None:
        self._trips.discard(trip)
        if self._queue:
            self._schedule()

    async def _carry(self, riders: list[_Rider]) -> None:
        records = {id(rider.record): rider.record for rider in riders if rider.record}.values()
        for record in records:
            record.trips += 1
        batch = Batch([rider.name for rider in riders], [rider.encoded for rider in riders])
        try:
            results = await self._transport.send("pipeline", batch, deadline=max(rider.deadline for rider in riders))
        except UpstashError as error:
            for record in records:
                record.trips -= isinstance(error, CircuitOpen)
            for rider in riders:
                rider.settle(error)
            return
        for rider, result in zip(riders, results, strict=True):
            rider.settle(result)


def _encode(name: str, command: Command) -> bytes:
    try:
        return to_json(command)
    except ValueError:  # told apart here, so that it cannot spoil a trip that others ride in
        raise CommandFailed(name, "an argument is not text that JSON can carry") from None


def _cancel_when_deserted(trip: asyncio.Task[None], riders: list[_Rider]) -> None:
    """End a trip whose every rider was cancelled: nothing may run on after the response."""
    waiting = len(riders)

    def leave(future: asyncio.Future[Any]) -> None:
        nonlocal waiting
        waiting -= future.cancelled()
        if not waiting and not trip.done():
            trip.cancel()

    for rider in riders:
        rider.future.add_done_callback(leave)
