"""Scripts run in the real Redis at a time that the test chooses, thousands a second."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import hiredis

from shared.limits import question


def at_chosen_time(*files: Path) -> str:
    """A script without its clock: the last argument is `now`, in Unix milliseconds."""
    return "local now = tonumber(ARGV[#ARGV])\n" + "\n".join(file.read_text() for file in files)


ADMIT = at_chosen_time(question.LUA / "admit.lua", question.LUA / "admit_only.lua")


class Redis:
    """A connection that sends many commands in one write."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader()

    def __enter__(self) -> Self:
        self.run([["FLUSHALL"]])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def load(self, source: str) -> str:
        (sha,) = self.run([["SCRIPT", "LOAD", source]])
        return str(sha.decode())

    def run(self, commands: Iterable[Sequence[str | int]]) -> list[Any]:
        packed = [hiredis.pack_command(tuple(map(str, command))) for command in commands]  # type: ignore[arg-type]
        replies: list[Any] = []
        for start in range(0, len(packed), 200):  # a bound on what either side has to hold
            some = packed[start : start + 200]
            self._socket.sendall(b"".join(some))
            expected = len(replies) + len(some)
            while len(replies) < expected:
                if (reply := self._reader.gets()) is not False:
                    if isinstance(reply, hiredis.ReplyError):
                        raise reply
                    replies.append(reply)
                else:
                    self._reader.feed(self._socket.recv(1 << 20))
        return replies
