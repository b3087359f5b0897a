"""`digis dev` where something is in its way: said in a line, and nothing is left."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.cli.conftest import Running, free_port
from tests.tools.local.places import ours

Start = Callable[..., Running]

pytestmark = pytest.mark.slow  # a stack of its own for each


def test_taken_port_is_said_and_leaves_nothing(start: Start) -> None:
    before = ours()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        running = start("dev", "--port", str(port))
        assert running.process.wait(60) == 1

    assert f"port {port} is taken: choose another with --port" in running.output
    assert ours() == before


def test_second_one_on_the_same_data_is_refused(start: Start) -> None:
    first = start("dev", "--port", str(free_port()))
    base = first.ready()
    second = start("dev", "--port", str(free_port()))

    assert second.process.wait(60) == 1
    assert f"already running on {base} (process {first.process.pid})" in second.output


def test_database_that_does_not_answer_is_said(start: Start) -> None:
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    running = start("dev", "--port", str(free_port()), env={"DATABASE_URL": url})

    assert running.process.wait(60) == 1
    assert "digis:" in running.output
    assert "secret" not in running.output
    assert "Traceback" not in running.output


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALLOWED_ORIGINS", "*", "ALLOWED_ORIGINS must be exact origins"),
        ("UPSTASH_REDIS_REST_URL", "http://10.0.0.1", "UPSTASH_REDIS_REST_TOKEN is not"),
        ("DATABASE_URL", "bogus", "DATABASE_URL is not"),
        ("DATABASE_URL", "postgresql://127.0.0.1/x?sslmode=weird", "sslmode"),
    ],
)
def test_setting_that_cannot_be_right_is_said_in_a_line(start: Start, name: str, value: str, said: str) -> None:
    running = start("dev", "--port", str(free_port()), env={name: value})
    assert running.process.wait(60) == 1
    assert said in running.output
    assert "Traceback" not in running.output


def test_data_directory_that_is_a_file_is_said(start: Start, place: Path) -> None:
    (place / "file").write_text("mine")
    running = start("dev", "--data", "file")
    assert running.process.wait(60) == 1
    assert "digis:" in running.output
    assert "Traceback" not in running.output


def test_fresh_removes_nothing_that_it_did_not_make(start: Start, place: Path) -> None:
    mine = place / "mine"
    for name in ("redis", "notes"):
        (mine / name).mkdir(parents=True)
        (mine / name / "kept.txt").write_text("kept")
    first = start("dev", "--fresh", "--port", str(free_port()), "--data", mine)
    first.ready()
    first.end()
    assert (mine / "redis" / "kept.txt").exists(), "it was not its own at the first start"
    second = start("dev", "--fresh", "--port", str(free_port()), "--data", mine)
    second.ready()
    assert (mine / "notes" / "kept.txt").exists()


def test_interrupted_while_it_imports_it_shows_no_traceback(start: Start) -> None:
    running = start("dev", "--port", str(free_port()))
    time.sleep(0.3)  # some of the way: there is nothing to wait for before its first word
    assert running.end() in {0, 130, -signal.SIGINT}
    assert "Traceback" not in running.output
