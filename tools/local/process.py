"""Children that cannot outlive their parent.

Postgres, Redis and the REST server run as children of a `digis` command or of a test run. They end with it
however it ends: a clean stop, Ctrl-C, SIGTERM, or a SIGKILL that leaves it no chance to say goodbye.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENDS_WITH_PARENT: Final = "DIGIS_ENDS_WITH_PARENT"  # set by make, of which nothing shall be left after a kill -9
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
STOP_SECONDS: Final = 5.0  # what a child gets after its polite signal, before SIGKILL
_POLL_SECONDS: Final = 0.005

# Where the kernel cannot tie a child to its parent (macOS), a shell waits for the end of a pipe that only
# the parent holds open, and passes the signal on. The shell ends with the child, and so leaves nothing.
# The pipe is moved to 3, because a shell gives what it puts in the background an empty standard input.
_WATCHDOG: Final = """
    exec 3<&0
    "$@" 3<&- </dev/null & child=$!
    (read -r _ <&3 ; kill -s "$DIGIS_STOP_SIGNAL" "$child" 2>/dev/null) &
    watcher=$!
    trap 'kill -s "$DIGIS_STOP_SIGNAL" "$child" 2>/dev/null' TERM INT QUIT
    wait "$child" ; status=$?
    while kill -s 0 "$child" 2>/dev/null; do wait "$child" ; status=$?; done  # the trap ended the first wait
    kill "$watcher" 2>/dev/null
    exit "$status"
"""


class StartFailed(RuntimeError):
    """A child ended, or was not ready in time; the message carries the end of its log."""


@dataclass(frozen=True)
class User:
    """Whom a child runs as, when that is not whoever started it."""

    uid: int
    gid: int


class Child:
    """A running process with a log file and a signal that stops it."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path, stop_signal: signal.Signals) -> None:
        self.name = name
        self.log = log
        self._popen = popen
        self._stop_signal = stop_signal

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    async def until(self, ready: Callable[[], Awaitable[bool]], *, seconds: float) -> None:
        """Return once `ready()` is true; raise StartFailed when the child ends first or `seconds` pass."""
        deadline = time.monotonic() + seconds
        while not await ready():
            if not self.running:
                raise StartFailed(f"{self.name} ended with status {self._popen.returncode}{self.log_tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} was not ready within {seconds:g} s{self.log_tail()}")
            await asyncio.sleep(_POLL_SECONDS)  # a child says nothing when it is ready: its socket is asked instead

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of the log, ready to follow a message."""
        with contextlib.suppress(OSError):
            tail = self.log.read_text(errors="replace").splitlines()[-lines:]
            return "".join(f"\n    {line}" for line in tail)
        return ""

    def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """Ask it to stop, wait, and kill what has not stopped within `seconds`. Calling twice is harmless."""
        if self.running:
            self._popen.send_signal(self._stop_signal)
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    stop_signal: signal.Signals = signal.SIGTERM,
    user: User | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    watchdog: bool = not sys.platform.startswith("linux"),
) -> Child:
    """Start `command` with its output in `log`, in a process group of its own (so that the terminal's Ctrl-C
    reaches only the parent, who stops its children in order), tied to the life of the calling thread."""
    arguments = [os.fspath(part) for part in command]
    environment = dict(os.environ if env is None else env)
    if watchdog:
        arguments = ["/bin/sh", "-c", _WATCHDOG, name, *arguments]
        environment["DIGIS_STOP_SIGNAL"] = stop_signal.name.removeprefix("SIG")
    with log.open("ab") as output:
        popen = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE if watchdog else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else [],
            # Two system calls between fork and exec; children are started before any thread is.
            preexec_fn=None if watchdog else _end_with_parent(stop_signal),  # noqa: PLW1509
        )
    return Child(name, popen, log, stop_signal)


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when the one that started it dies. Only Linux can."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _end_with_parent(stop_signal: signal.Signals) -> Callable[[], None]:
    """What the child does between fork and exec: after its change of user, which would clear the setting."""
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # loaded before the fork: the child must not allocate more than it needs

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:  # it died before the setting took effect
            os.kill(os.getpid(), signal.SIGKILL)

    return tie
