"""The packaging commands: what they refuse to overwrite, and what they leave when they are told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tools.deploy import vercel
from tools.deploy.run import run
from tools.functions import ROOT


@pytest.mark.parametrize("module", ["tools.deploy", "tools.deploy.vercel"])
def test_output_that_cannot_be_written_is_said_at_once(module: str) -> None:
    command = [sys.executable, "-m", module, "--output", "/dev/null/x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_directory_that_is_no_earlier_build_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("four years")
    command = [sys.executable, "-m", "tools.deploy.vercel", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "it would be removed" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "four years"


def test_hidden_files_are_not_even_copied(tmp_path: Path) -> None:
    (tmp_path / "tree/functions/ready").mkdir(parents=True)
    for name in (".env.py", "app.py", ".python-version"):
        (tmp_path / "tree/functions/ready" / name).touch()
    vercel.copy_sources(tmp_path / "copy", tmp_path / "tree")
    copied = {file.name for file in (tmp_path / "copy").rglob("*") if file.is_file()}
    assert copied == {"app.py", ".python-version"}


def test_what_runs_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path / 'child'}; wait"
    with pytest.raises(TimeoutError):
        run(["sh", "-c", script], cwd=tmp_path, env=os.environ, seconds=1)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "tools.deploy", "ready", "--output", str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("digis-package-*")):
        if process.poll() is not None:
            pytest.skip("there is no Python to package with")
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(20) != 0
    assert process.stderr is not None
    process.stderr.close()
    assert not list(tmp_path.glob("digis-package-*"))
