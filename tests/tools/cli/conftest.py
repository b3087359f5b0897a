"""The `digis` command as its users run it: a process of its own, in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tools.local.process import ENDS_WITH_PARENT

DIGIS = Path(sys.executable).with_name("digis")
START_SECONDS = 60
END_SECONDS = 15


def free_port() -> int:
    """A port below those that the kernel hands out: no other server of the test can be given it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def clean_environment() -> dict[str, str]:
    """The environment without anything that chooses a service for the command."""
    ours = (
        *("DIGIS_", "UPSTASH_", "KV_REST_", "DATABASE_URL", "MIGRATION_", "STAGE", "VERCEL", "AWS_"),
        *("SMTP_", "MAIL_", "SESSION_", "OTP_", "STRIPE_", "PAYOUT_", "CRON_", "OPS_"),
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Running:
    """A `digis` command that stays."""

    def __init__(self, *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.log = cwd / f"{arguments[0]}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [DIGIS, *arguments],
                cwd=cwd,
                env=clean_environment() | {ENDS_WITH_PARENT: "1"} | (env or {}),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def ready(self) -> str:
        """Wait for the ready line; return the address in it."""
        deadline = time.monotonic() + START_SECONDS
        while "ready on " not in self.output or not self.output.endswith("\n"):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)
        line = next(line for line in self.output.splitlines() if line.startswith("ready on "))
        return line.removeprefix("ready on ")

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + END_SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def family(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait; return the exit status. Nothing of it may still run."""
        family = self.family() if self.process.poll() is None else []
        self.process.send_signal(number)
        status = self.process.wait(END_SECONDS)
        _, alive = psutil.wait_procs(family, timeout=END_SECONDS)
        assert alive == []
        return status


@pytest.fixture
def place() -> Iterator[Path]:
    """A working directory with a space in its name, in a directory that only its owner can enter."""
    with tempfile.TemporaryDirectory(prefix="digis-test-") as name:
        place = Path(name) / "a place of mine"
        place.mkdir()
        yield place


@pytest.fixture
def start(place: Path) -> Iterator[Callable[..., Running]]:
    """Start a command in `place`; whatever still runs when the test ends is ended."""
    started: list[Running] = []

    def begin(*arguments: str | Path, env: dict[str, str] | None = None) -> Running:
        running = Running(*arguments, cwd=place, env=env)
        started.append(running)
        return running

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.end()


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """One `digis dev` for all tests that only look at it: its address, and its data directory."""
    directory = tmp_path_factory.mktemp("dev")
    running = Running("dev", "--port", str(free_port()), cwd=directory)
    yield running.ready(), directory / ".digis"
    assert running.end() == 0


def digis(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None, stdin: str = "") -> tuple[int, str]:
    """Run a command to its end; return its exit status and all that it printed."""
    done = subprocess.run(
        [DIGIS, *arguments],
        cwd=cwd,
        env=clean_environment() | (env or {}),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout
