"""Other programs, run so that nothing of them is left when we are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_STOPS: Final = {signal.SIGINT, signal.SIGTERM}


def ends_like_ctrl_c() -> None:
    """A SIGTERM is an interrupt from here on: temporary directories are removed, and what `run` runs is ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def _not_now() -> Iterator[Callable[[], None]]:
    """What tells us to stop waits for the yielded function: by then something is made, and sure to be ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)

    def now() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield now
    finally:
        now()


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A temporary directory."""
    with _not_now() as now, tempfile.TemporaryDirectory(prefix=prefix) as name:
        now()
        yield Path(name)


def run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """Return its exit status and all that it printed. Raise TimeoutError; then, too, it and its children are ended."""
    with _not_now() as now:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=now,  # noqa: PLW1509 -- no threads here; it must not inherit what waits
        )
        try:
            now()
            said, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError from None
            raise
    return process.returncode, said
