"""The tests' side of the zygote: a request is served in a process of its own, which ends as it was told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Final, Self

from tests.functions.payments.crash.points import Way
from tools.functions import ROOT

_RUN_SECONDS: Final = 60.0  # it has hung
_LINE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class Request:
    """An HTTP request to payments."""

    path: str
    headers: dict[str, str]
    body: str
    method: str = "POST"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def said(self) -> Any:
        """The body, but for what names this one request."""
        return {name: value for name, value in json.loads(self.body).items() if name != "request_id"}


@dataclass
class Ended:
    """What became of a process: the points it came by, its answer if it lived to give one, and how it ended."""

    run: int
    labels: list[str] = field(default_factory=list)
    reply: Reply | None = None
    status: int = -1

    @property
    def was_killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    def hear(self, kind: str, told: Any) -> None:
        if kind == "point":
            self.labels.append(told)
        elif kind == "answer":
            self.reply = Reply(**told)
        elif kind == "ended":
            self.status = told


@dataclass(frozen=True)
class Order:
    """What the zygote is to have served, and how it is to go wrong. `clock` is a file with the seconds that are said to
    have passed; `plant` a mistake that its code has."""

    env: dict[str, str]
    request: Request
    clock: str
    point: int | None = None
    way: Way | None = None
    plant: str | None = None


class Zygote:
    """A running zygote. One run at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._runs = count(1)

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        """It is ready when it answers."""
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.functions.payments.crash.zygote"],
            cwd=ROOT,
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        try:
            yield cls(ours)
        finally:
            ours.close()
            process.wait(_RUN_SECONDS)

    async def run(self, order: Order) -> Ended:
        """Have the request served, well or not, and wait for the end of the process that serves it."""
        ended = Ended(next(self._runs))
        await self._hear(ended, asdict(order), "ended")
        return ended

    @asynccontextmanager
    async def stop(self, order: Order) -> AsyncIterator[Stopped]:
        """Have the request served until it is stopped; others may be served meanwhile. It goes no further than that,
        unless it is let go."""
        ended = Ended(next(self._runs))
        stopped = Stopped(self, ended, int(await self._hear(ended, asdict(order), "stopped")))
        try:
            yield stopped
        finally:
            if ended.status < 0:
                await stopped.end(signal.SIGKILL)

    async def _hear(self, ended: Ended, order: dict[str, Any], last: str) -> Any:
        """Give an order, and hear what becomes of that run, up to a `last` word. Nobody else listens meanwhile."""
        reader, writer = await asyncio.open_connection(sock=self._channel.dup(), limit=_LINE_BYTES)
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                writer.write(json.dumps({"run": ended.run, **order}).encode() + b"\n")
                while line := await reader.readline():
                    run, kind, told = json.loads(line)
                    if run != ended.run:
                        continue
                    ended.hear(kind, told)
                    if kind == last:
                        return told
                    assert kind != "ended", f"it was not {last}"
        finally:
            writer.close()
            await writer.wait_closed()
        raise AssertionError("the zygote has died; what it said is above")


@dataclass
class Stopped:
    """A process that stands still."""

    _zygote: Zygote
    _ended: Ended
    _process: int

    async def end(self, by: signal.Signals = signal.SIGCONT) -> Ended:
        """Let it go on, or kill it, and wait for its end."""
        os.kill(self._process, by)
        await self._zygote._hear(self._ended, {"process": self._process}, "ended")
        return self._ended
