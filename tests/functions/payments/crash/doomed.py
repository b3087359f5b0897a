"""The tests' side of the zygote: a request is served in a process of its own, which ends as it was told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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

    def hear(self, kind: str, told: Any) -> bool:
        """Take note; return whether that was the last."""
        if kind == "point":
            self.labels.append(told)
        elif kind == "answer":
            self.reply = Reply(**told)
        else:
            self.status = told
        return kind == "ended"


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

    async def run(
        self, env: dict[str, str], request: Request, point: int | None = None, way: Way | None = None
    ) -> Ended:
        """Have the request served, well or not, and wait for the end of the process that serves it."""
        ended = Ended(next(self._runs))
        order = {"run": ended.run, "env": env, "request": asdict(request), "point": point, "way": way}
        reader, writer = await asyncio.open_connection(sock=self._channel.dup(), limit=_LINE_BYTES)
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                writer.write(json.dumps(order).encode() + b"\n")
                while line := await reader.readline():
                    run, kind, told = json.loads(line)
                    if run == ended.run and ended.hear(kind, told):
                        return ended
        finally:
            writer.close()
            await writer.wait_closed()
        raise AssertionError("the zygote has died; what it said is above")
