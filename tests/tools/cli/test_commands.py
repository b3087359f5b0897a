"""The commands that look at a running `digis dev`, or work on what it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from tests.tools.cli.conftest import Running, digis, free_port
from tools.cli.commands import app
from tools.functions import ROOT, function_names

Dev = tuple[str, Path]

pytestmark = pytest.mark.slow  # a stack to look at
EVENTS = ROOT / "tests" / "events"


def _answers(text: str) -> list[dict[str, object]]:
    """The JSON answers that `digis invoke` printed one after another."""
    answers = "\n".join(line for line in text.splitlines() if line[:1] in {"{", "}", " "})  # not the access lines
    return [json.loads(part + "\n}") for part in answers.split("\n}") if part]


def _commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_and_option_explains_itself(name: str) -> None:
    command = _commands()[name]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"
    assert digis(name, "--help", cwd=ROOT)[0] == 0


def test_unknown_command_says_so() -> None:
    status, text = digis("serve", cwd=ROOT)
    assert (status, "No such command" in text) == (2, True)


# invoke


@pytest.mark.parametrize(
    ("function", "event", "shown"),
    [
        ("creators", "creators-profile", '"username":"luna"'),
        ("creators", "creators-list", '"next_cursor":"'),
        ("ready", "ready", '"status":"ready"'),
        ("ready", "live", '"status":"live"'),
    ],
)
def test_invoke_answers_a_v2_event_twice_in_one_process(dev: Dev, function: str, event: str, shown: str) -> None:
    status, text = digis("invoke", function, EVENTS / f"{event}.json", "--times", "2", "--data", dev[1], cwd=ROOT)
    answers = _answers(text)

    assert status == 0, text
    assert [answer["statusCode"] for answer in answers] == [200, 200]
    assert all(shown in str(answer["body"]) for answer in answers)
    assert not any(answer["isBase64Encoded"] for answer in answers)


def test_invoke_reads_an_event_from_stdin(dev: Dev) -> None:
    event = (EVENTS / "live.json").read_text()
    status, text = digis("invoke", "ready", "-", "--data", dev[1], cwd=ROOT, stdin=event)
    assert (status, _answers(text)[0]["body"]) == (0, '{"status":"live"}')


@pytest.mark.parametrize(
    ("function", "event", "status", "said"),
    [
        ("nobody", "{}", 2, f"there is no function nobody: there are {', '.join(function_names())}"),
        ("ready", "no JSON", 2, "is not JSON"),
        ("ready", "[]", 2, "is not an event: a JSON object"),
        ("ready", "{}", 1, "this is not an API Gateway v2 event"),
    ],
)
def test_invoke_says_what_is_wrong(dev: Dev, function: str, event: str, status: int, said: str) -> None:
    done = digis("invoke", function, "-", "--data", dev[1], cwd=ROOT, stdin=event)
    assert (done[0], said in done[1], "Traceback" in done[1]) == (status, True, False), done[1]


def test_invoke_of_a_missing_file_says_so() -> None:
    status, text = digis("invoke", "ready", "missing.json", cwd=ROOT)
    assert (status, "missing.json cannot be read: No such file or directory" in text) == (2, True)


# doctor


def test_doctor_shows_what_answers_and_how_far_away_it_is(dev: Dev) -> None:
    status, text = digis("doctor", "--data", dev[1], cwd=ROOT)
    assert status == 0, text
    for part in ("upstash", "postgres"):
        (row,) = (line for line in text.splitlines() if line.startswith(f"{part} "))
        assert "answers" in row
        assert "ms (median of 5)" in row


def test_doctor_fails_when_something_is_out_of_reach(dev: Dev) -> None:
    env = {"UPSTASH_REDIS_REST_URL": f"http://127.0.0.1:{free_port()}", "UPSTASH_REDIS_REST_TOKEN": "secret-token"}
    status, text = digis("doctor", "--data", dev[1], cwd=ROOT, env=env)
    assert status == 1
    assert "out of reach" in text
    assert "secret-token" not in text


def test_doctor_without_anything_says_what_is_not_set(place: Path) -> None:
    status, text = digis("doctor", cwd=place)
    assert status == 1
    assert "DATABASE_URL" in text
    assert "not set" in text


def test_doctor_production_holds_keys_to_their_length(dev: Dev) -> None:
    short = {"IDENTITY_HMAC_KEY": "short", "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    status, text = digis("doctor", "--production", "--data", dev[1], cwd=ROOT, env=short)
    assert status == 1
    assert "needs at least 32 characters" in text


def test_doctor_names_a_setting_that_cannot_be_right(place: Path) -> None:
    status, text = digis(
        "doctor", cwd=place, env={"UPSTASH_REDIS_REST_URL": "http://db.example", "KV_REST_API_URL": ""}
    )
    assert (status, "UPSTASH_REDIS_REST_TOKEN is not" in text) == (1, True)


# migrate


def test_migrate_brings_a_running_dev_up_to_date(dev: Dev) -> None:
    assert digis("migrate", "--data", dev[1], cwd=ROOT) == (0, "up to date\n")
    assert digis("migrate", "--check", "--data", dev[1], cwd=ROOT) == (0, "up to date\n")


def test_migrate_without_a_database_says_how_to_name_one(place: Path) -> None:
    status, text = digis("migrate", cwd=place)
    assert (status, "which database?" in text) == (2, True)


@pytest.mark.parametrize("url", ["postgresql://u:secret@127.0.0.1:1/x", "not a url", "postgresql://[/x"])
def test_migrate_of_a_database_out_of_reach_says_so(place: Path, url: str) -> None:
    status, text = digis("migrate", "--database-url", url, cwd=place)
    assert status == 1, text
    assert "the database cannot be used" in text
    assert "secret" not in text
    assert "Traceback" not in text


# fault


def test_fault_breaks_and_mends(start: Callable[..., Running], place: Path) -> None:
    base = start("dev", "--port", str(free_port())).ready()
    assert digis("fault", "upstash", "refuse", cwd=place) == (0, "upstash: refuse\n")
    assert httpx.get(f"{base}/creators/luna").headers["x-ratelimit-mode"] == "local"
    assert digis("fault", "postgres", "refuse", cwd=place) == (0, "postgres: refuse\n")
    assert httpx.get(f"{base}/creators/mika").status_code == 503
    assert httpx.get(f"{base}/live").status_code == 200
    assert digis("fault", "stripe", "hang", cwd=place) == (0, "stripe: hang\n")
    assert digis("fault", "webhooks", "lost", cwd=place) == (0, "webhooks: lost\n")
    for part in ("upstash", "postgres", "stripe", "webhooks"):
        assert digis("fault", part, "ok", cwd=place)[0] == 0
    assert digis("doctor", cwd=place)[0] == 0


@pytest.mark.parametrize(
    ("part", "mode", "said"),
    [
        ("redis", "hang", "no part is called redis: there are upstash, postgres, smtp"),
        ("upstash", "explode", "upstash knows"),
    ],
)
def test_fault_of_another_kind_is_said(dev: Dev, part: str, mode: str, said: str) -> None:
    status, text = digis("fault", part, mode, "--data", dev[1], cwd=ROOT)
    assert (status, said in text) == (2, True), text


def test_fault_without_a_running_dev_says_so(place: Path) -> None:
    status, text = digis("fault", "upstash", "hang", cwd=place)
    assert (status, "no digis dev runs with the data directory .digis" in text) == (1, True)
