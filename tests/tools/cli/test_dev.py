"""`digis dev`: one command, everything there, nothing left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.tools.cli.conftest import Running, free_port
from tests.tools.local.places import ours
from tools.local.env_file import read_env

Start = Callable[..., Running]

pytestmark = pytest.mark.slow  # a stack of its own for each


def test_says_what_runs_where_and_last_that_it_is_ready(start: Start) -> None:
    port = free_port()
    running = start("dev", "--port", str(port))
    assert running.ready() == f"http://127.0.0.1:{port}"
    lines = running.output.splitlines()

    assert lines[-1] == f"ready on http://127.0.0.1:{port}"
    for part in ("functions", "docs", "upstash", "postgres", "smtp"):
        assert any(line.startswith(part) for line in lines)
    for step in ("services are up", "applied 0001_people", "loaded demo data: 52 users, 50 of them creators"):
        assert any(step in line for line in lines)
    assert httpx.get(f"http://127.0.0.1:{port}/creators/luna").status_code == 200


def test_env_file_is_all_that_a_function_needs(start: Start, place: Path) -> None:
    running = start("dev", "--port", str(free_port()))
    running.ready()
    file = place / ".digis" / "env"

    assert file.stat().st_mode & 0o777 == 0o600
    assert set(read_env(place / ".digis")) == {
        *("DATABASE_URL", "IDENTITY_HMAC_KEY", "STAGE", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
        *("SESSION_KEYS", "OTP_PEPPER", "SMTP_URL", "MAIL_FROM", "OPS_TOKEN"),
        *("STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "PAYOUT_ACCOUNT_URL", "CRON_SECRET"),
    }
    assert len(read_env(place / ".digis")["IDENTITY_HMAC_KEY"]) >= 32
    assert all(re.fullmatch(r"[A-Z_]+=\S+", line) for line in file.read_text().splitlines())


def test_session_is_one_of_the_running_stack(start: Start, place: Path) -> None:
    running = start("dev", "--port", str(free_port()))
    url = running.ready()
    command = [str(Path(sys.executable).parent / "digis"), "session", "luna"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=30, check=True)
    answer = httpx.get(f"{url}/auth/session", headers={"X-Session-Id": done.stdout.strip()}, timeout=10)
    assert answer.json()["user"]["username"] == "luna"
    assert httpx.get(f"{url}/dev/mailbox", timeout=10).json() == {"messages": []}

    unknown = subprocess.run([*command[:-1], "nobody_here"], cwd=place, capture_output=True, text=True, check=False)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "there is no user nobody_here" in unknown.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_process_is_left(start: Start, number: signal.Signals) -> None:
    before = ours()
    running = start("dev", "--port", str(free_port()))
    running.ready()
    assert len(running.family()) > 2, "Postgres and Redis are children of it"

    status = running.end(number)

    if number is signal.SIGKILL:
        assert status == -signal.SIGKILL
        again = start("dev", "--port", str(free_port()))  # sweeps what could not be removed, and goes on
        again.ready()
        again.end()
    else:
        assert (status, running.output.splitlines()[-1]) == (0, "· stopped")
    assert ours() == before


def test_interrupted_while_it_starts_it_leaves_nothing(start: Start) -> None:
    before = ours()
    for wanted in ("data in", "services are up"):
        running = start("dev", "--port", str(free_port()))
        running.wait_for(wanted)
        assert running.end() == 0
        assert ours() == before


def test_second_start_finds_the_data_and_is_quick(start: Start, place: Path) -> None:
    first = start("dev", "--port", str(free_port()))
    first.ready()
    env = read_env(place / ".digis")
    first.end()
    second = start("dev", "--port", str(free_port()))
    second.ready()

    assert "applied" not in second.output
    assert "loaded" not in second.output
    for name in ("IDENTITY_HMAC_KEY", "SESSION_KEYS", "OTP_PEPPER"):
        assert read_env(place / ".digis")[name] == env[name], "sessions outlive a restart"


def test_fresh_forgets_and_no_demo_loads_nothing(start: Start) -> None:
    first = start("dev", "--port", str(free_port()))
    first.ready()
    first.end()
    second = start("dev", "--fresh", "--no-demo", "--port", str(free_port()))
    base = second.ready()

    assert "applied 0001_people" in second.output
    assert httpx.get(f"{base}/creators").json()["creators"] == []


def test_after_the_ready_line_it_makes_no_trips_of_its_own(start: Start, place: Path) -> None:
    running = start("dev", "--port", str(free_port()))
    base = running.ready()
    env = read_env(place / ".digis")

    def connections() -> int:
        ends = (
            c.laddr for c in psutil.Process(running.process.pid).net_connections("tcp") if c.status == "ESTABLISHED"
        )
        return sum(end.port == int(env["UPSTASH_REDIS_REST_URL"].rpartition(":")[2]) for end in ends)

    assert connections() == 0
    httpx.get(f"{base}/creators/luna")
    assert connections() == 1


def test_two_with_data_of_their_own_run_side_by_side(start: Start) -> None:
    one, two = (start("dev", "--port", str(free_port()), "--data", name) for name in ("one", "two"))
    for running in (one, two):
        assert httpx.get(f"{running.ready()}/ready").json()["status"] == "ready"


def test_services_of_yours_are_used_instead(start: Start, place: Path) -> None:
    upstash = start("upstash", "--port", "0", "--token", "mine")
    url = upstash.ready()
    running = start(
        *("dev", "--port", str(free_port())), env={"UPSTASH_REDIS_REST_URL": url, "UPSTASH_REDIS_REST_TOKEN": "mine"}
    )
    base = running.ready()

    assert httpx.get(f"{base}/creators/luna").headers["x-cache"] == "miss"
    stored = httpx.post(url, json=["EXISTS", "creator:profile:luna"], headers={"Authorization": "Bearer mine"})
    assert stored.json() == {"result": 1}
    assert read_env(place / ".digis")["UPSTASH_REDIS_REST_TOKEN"] == "mine"


def test_database_elsewhere_is_neither_migrated_nor_filled(start: Start) -> None:
    url = "postgresql://nobody:secret@database.example/production"
    running = start("dev", "--port", str(free_port()), env={"DATABASE_URL": url})
    base = running.ready()

    assert "neither migrated nor filled" in running.output
    assert "secret" not in running.output
    assert httpx.get(f"{base}/live").status_code == 200


def test_access_line_says_what_a_request_cost(start: Start) -> None:
    running = start("dev", "--port", str(free_port()))
    base = running.ready()
    with httpx.Client(base_url=base) as http:
        for path in (
            "/creators/luna",
            "/creators/luna",
            "/live",
            "/creators/nobody_here",
            "/creators?limit=0&x=secret",
        ):
            http.get(path)
    running.wait_for("/creators 422")
    lines = running.output.splitlines()[-5:]

    for line, expected in zip(
        lines,
        (
            r"GET /creators/luna 200 miss 3 trips 1 query \d+ ms",
            r"GET /creators/luna 200 hit 1 trip 0 queries \d+ ms",
            r"GET /live 200 - 0 trips 0 queries \d+ ms",
            r"GET /creators/nobody_here 404 miss 2 trips 1 query \d+ ms",
            r"GET /creators 422 - 1 trip 0 queries \d+ ms",
        ),
        strict=True,
    ):
        assert re.fullmatch(expected, line), line
