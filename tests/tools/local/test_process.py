"""Children end with their parent, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tools.local.process import Child, StartFailed, spawn

# A parent that starts one child and says its pid, then waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from tools.local.process import spawn
child = spawn("sleeper", ["sleep", "60"], log=Path(sys.argv[1]), watchdog=sys.argv[2] == "watchdog")
print(child.pid, flush=True)
time.sleep(60)
"""
GONE_WITHIN = 5.0


def _gone(pid: int, within: float = GONE_WITHIN) -> bool:
    """Whether a process ends within the deadline; a zombie that nobody has reaped yet has ended."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def _family(child: int, size: int) -> list[int]:
    """The pids of a child and its own children, once they are as many as they should be."""
    deadline = time.monotonic() + GONE_WITHIN
    while time.monotonic() < deadline:
        family = [child, *(process.pid for process in psutil.Process(child).children(recursive=True))]
        if len(family) == size:
            return family
        time.sleep(0.01)
    raise AssertionError(f"{family} should be {size}")


def _wait_for_log(child: Child, text: str) -> None:
    deadline = time.monotonic() + GONE_WITHIN
    while text not in child.log_tail():
        assert time.monotonic() < deadline, f"{child.name} never said {text}"
        time.sleep(0.01)


@pytest.mark.parametrize("tie", ["kernel", "watchdog"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_child_ends_when_its_parent_is_killed(tmp_path: Path, tie: str, ending: signal.Signals) -> None:
    if tie == "kernel" and not sys.platform.startswith("linux"):
        pytest.skip("only Linux ties a child to its parent in the kernel")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, tmp_path / "log", tie], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    everyone = _family(child, size=1 if tie == "kernel" else 3)  # with a watchdog: the shell, its watcher, the child
    assert not any(_gone(pid, within=0.1) for pid in everyone)

    parent.send_signal(ending)
    parent.wait()
    parent.stdout.close()

    assert all(_gone(pid) for pid in everyone)


@pytest.mark.parametrize("watchdog", [False, True])
def test_stop_sends_the_signal_and_waits(tmp_path: Path, watchdog: bool) -> None:  # noqa: FBT001
    command = ["sh", "-c", 'trap "echo stopped; exit 0" TERM; echo up; while :; do sleep 0.05; done']
    child = spawn("polite", command, log=tmp_path / "log", watchdog=watchdog)
    _wait_for_log(child, "up")

    child.stop()
    child.stop()

    assert not child.running
    assert "stopped" in child.log_tail()


def test_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    child = spawn("deaf", ["sh", "-c", 'trap "" TERM; echo up; while :; do sleep 0.05; done'], log=tmp_path / "log")
    _wait_for_log(child, "up")
    started = time.monotonic()

    child.stop(seconds=0.2)

    assert not child.running
    assert time.monotonic() - started < 3


async def test_child_that_ends_before_it_is_ready_shows_its_log(tmp_path: Path) -> None:
    child = spawn("broken", ["sh", "-c", "echo no such luck; exit 3"], log=tmp_path / "log")
    with pytest.raises(StartFailed, match=r"broken ended with status 3\n.*no such luck"):
        await child.until(_never, seconds=5)


async def test_child_that_is_not_ready_in_time_is_said_to_be_so(tmp_path: Path) -> None:
    child = spawn("slow", ["sleep", "60"], log=tmp_path / "log")
    with pytest.raises(StartFailed, match=r"slow was not ready within 0\.1 s"):
        await child.until(_never, seconds=0.1)
    child.stop()


def test_terminal_signals_do_not_reach_a_child(tmp_path: Path) -> None:
    child = spawn("sleeper", ["sleep", "60"], log=tmp_path / "log")
    assert os.getpgid(child.pid) != os.getpgid(0)
    child.stop()


async def _never() -> bool:
    await asyncio.sleep(0)
    return False
