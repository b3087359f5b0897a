"""`make dev`, as most people start it: however make ends, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.tools.cli.conftest import END_SECONDS, START_SECONDS, clean_environment, free_port
from tools.functions import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_make_ends_no_process_is_left(place: Path, number: signal.Signals) -> None:
    log = place / "log"
    with log.open("wb") as output:
        make = subprocess.Popen(
            ["make", "--silent", "dev", f"ARGS=--port {free_port()} --data '{place / 'data'}'"],
            cwd=ROOT,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while "\nready on " not in log.read_text():
        assert make.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
    family = [psutil.Process(make.pid), *psutil.Process(make.pid).children(recursive=True)]
    assert len(family) > 3

    # Ctrl-C is a signal to everything in the terminal's foreground, the others are to make alone.
    (os.killpg if number is signal.SIGINT else os.kill)(make.pid, number)
    make.wait(END_SECONDS)

    _, alive = psutil.wait_procs(family, timeout=END_SECONDS)
    assert alive == []
