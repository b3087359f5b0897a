"""The Lambda entry: API Gateway v2 events, through Mangum, in one warm process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.http import schedule
from shared.http.schedule import ScheduledRunFailed
from tests.conftest import Services
from tests.deployed import DEPLOYED_KEYS
from tools.functions import ROOT
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

EVENTS = ROOT / "tests" / "events"

# What the runtime does: import once, then hand over one event after another, and report what was raised.
RUNTIME = """
import importlib, json, sys, traceback
module = importlib.import_module(f"functions.{sys.argv[1]}.app")
def invoke(event):
    try:
        return module.lambda_handler(event, None)
    except Exception as error:
        traceback.print_exc()
        return {"errorType": type(error).__name__, "errorMessage": str(error)}
print(json.dumps([invoke(json.load(open(path))) for path in sys.argv[2:]]))
"""


async def _send(function: str, *events: Path, **env: str) -> tuple[list[dict[str, Any]], str]:
    """Each event's answer from one process, and what that wrote to its log."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("UPSTASH", "DATABASE", "STAGE"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUNTIME, function, *map(str, events)),
        env=known | env,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    answers, *_ = (json.loads(line) for line in reversed(out.decode().splitlines()))
    return answers, out.decode() + err.decode()


def _env(services: Services, rest: RestServer, database_name: str) -> dict[str, str]:
    return {
        "UPSTASH_REDIS_REST_URL": rest.url,
        "UPSTASH_REDIS_REST_TOKEN": "local",
        "DATABASE_URL": services.postgres.url(database_name),
    }


async def test_events_one_after_another_use_one_kept_connection(
    services: Services, rest: RestServer, database_name: str
) -> None:
    events = [EVENTS / f"creators-{name}.json" for name in ("profile", "profile", "list", "list")]
    answers, _ = await _send("creators", *events, **_env(services, rest, database_name))

    assert [answer["statusCode"] for answer in answers] == [200] * 4
    assert [answer["headers"]["x-cache"] for answer in answers] == ["miss", "hit", "miss", "hit"]
    assert json.loads(answers[3]["body"])["next_cursor"]
    assert len({answer["headers"]["x-request-id"] for answer in answers}) == 4
    assert rest.connections == 1


async def test_readiness_is_asked_over_one_kept_connection(
    services: Services, rest: RestServer, database_name: str
) -> None:
    answers, _ = await _send("ready", *[EVENTS / "ready.json"] * 2, **_env(services, rest, database_name))
    assert [json.loads(answer["body"])["status"] for answer in answers] == ["ready", "ready"]
    assert rest.connections == 1


async def test_deployed_the_source_address_is_the_request_contexts_own(
    services: Services, rest: RestServer, database_name: str, tmp_path: Path
) -> None:
    env = _env(services, rest, database_name) | {
        "AWS_LAMBDA_FUNCTION_NAME": "creators",
        **DEPLOYED_KEYS,
        "STAGE": "test",
    }
    forged = json.loads((EVENTS / "creators-profile.json").read_text())
    forged["headers"]["x-forwarded-for"] = "198.51.100.1"
    other = json.loads((EVENTS / "creators-profile.json").read_text())
    other["requestContext"]["http"]["sourceIp"] = "198.51.100.2"
    events = [EVENTS / "creators-profile.json"]
    for name, event in (("forged", forged), ("other", other)):
        events.append(tmp_path / f"{name}.json")
        events[-1].write_text(json.dumps(event))
    answers, _ = await _send("creators", *events, **env)

    assert [answer["headers"]["x-ratelimit-remaining"] for answer in answers] == ["999", "998", "999"]
    assert "server-timing" not in answers[0]["headers"]
    keys = [key.decode() for key in await rest.command("KEYS", "*")]
    assert len(keys) == 3
    assert all(key.startswith("test:") for key in keys)
    assert not any("203.0.113.7" in key for key in keys)


async def test_deployed_the_access_line_is_one_json_object(
    services: Services, rest: RestServer, database_name: str
) -> None:
    env = _env(services, rest, database_name) | {"AWS_LAMBDA_FUNCTION_NAME": "creators", **DEPLOYED_KEYS}
    answers, log = await _send("creators", EVENTS / "creators-profile.json", **env)
    (line,) = (json.loads(line) for line in log.splitlines() if '"milliseconds"' in line)

    assert {name: line[name] for name in ("method", "path", "status", "outcome", "trips", "queries")} == {
        "method": "GET",
        "path": "/creators/luna",
        "status": 200,
        "outcome": "miss",
        "trips": 3,
        "queries": 1,
    }
    assert line["request_id"] == answers[0]["headers"]["x-request-id"]
    assert line["milliseconds"] > 0
    assert "203.0.113.7" not in log


async def test_deployed_without_a_needed_setting_the_import_fails() -> None:
    for missing in ("IDENTITY_HMAC_KEY", "DATABASE_URL"):
        env = {"AWS_LAMBDA_FUNCTION_NAME": "x", **DEPLOYED_KEYS, "DATABASE_URL": "postgresql://x/x"}
        del env[missing]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", "import functions.creators.app"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 1
        assert f"SettingsInvalid: not set: {missing}" in done.stderr


# Scheduled events (tests/architecture/test_platforms.py says which functions have a schedule).


def _scheduled_env(services: Services, rest: RestServer, database_name: str, stripe: FakeStripe) -> dict[str, str]:
    stripe_env = {"STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": "sk_test_local", "CRON_SECRET": "cron-local"}
    return _env(services, rest, database_name) | stripe_env


async def test_scheduled_event_is_a_run_of_reconcile(
    services: Services, rest: RestServer, stripe: FakeStripe, database_name: str
) -> None:
    env = _scheduled_env(services, rest, database_name, stripe)
    answers, log = await _send("payments", *[EVENTS / "payments-scheduled.json"] * 2, **env)

    assert [answer.get("statusCode") for answer in answers] == [200, 200], log
    assert {"resumed", "settled", "failed", "drained"} <= set(json.loads(answers[0]["body"]))
    event_id = json.loads((EVENTS / "payments-scheduled.json").read_text())["id"]
    assert answers[0]["headers"]["x-request-id"] == event_id
    assert log.count("POST /payments/reconcile 200") == 2


async def test_scheduled_run_that_fails_is_an_error_of_the_function(
    services: Services, rest: RestServer, stripe: FakeStripe, database_name: str
) -> None:
    env = _scheduled_env(services, rest, database_name, stripe)
    await stripe.faults.set(stripe.faults.mode.REFUSE)
    answers, _ = await _send("payments", EVENTS / "payments-scheduled.json", **env)
    assert answers == [{"errorType": "ScheduledRunFailed", "errorMessage": "/payments/reconcile answered 503"}]


async def test_request_that_looks_like_a_scheduled_event_is_a_request(
    services: Services, rest: RestServer, stripe: FakeStripe, database_name: str, tmp_path: Path
) -> None:
    scheduled = json.loads((EVENTS / "payments-scheduled.json").read_text())
    request = json.loads((EVENTS / "payments-reconcile.json").read_text())
    del request["headers"]["authorization"]
    request["headers"] |= {"source": "aws.events", "x-request-id": scheduled["id"]}
    request |= {"rawQueryString": "source=aws.events", "queryStringParameters": {"source": "aws.events"}}
    both = scheduled | request  # which nobody can send: what is asked over HTTP has no say in what is around it
    events = []
    for name, event in (("in", request | {"body": json.dumps(scheduled)}), ("both", both)):
        events.append(tmp_path / f"{name}.json")
        events[-1].write_text(json.dumps(event))
    answers, log = await _send("payments", *events, **_scheduled_env(services, rest, database_name, stripe))

    assert [answer.get("statusCode") for answer in answers] == [401, 401], log
    assert all(json.loads(answer["body"])["code"] == "operator_required" for answer in answers)


async def test_function_without_a_schedule_knows_no_scheduled_event(
    services: Services, rest: RestServer, database_name: str
) -> None:
    env = _env(services, rest, database_name) | {"CRON_SECRET": "cron-local"}
    (answer,), _ = await _send("creators", EVENTS / "payments-scheduled.json", **env)
    assert answer["errorType"] == "RuntimeError"
    assert "unable to infer a handler" in answer["errorMessage"]


@pytest.mark.parametrize("status", [201, 204, 302, 401, 429, 500, 503])
def test_scheduled_run_is_a_post_with_the_schedulers_token(fresh_process: pytest.MonkeyPatch, status: int) -> None:
    fresh_process.setenv("CRON_SECRET", "of the scheduler")
    asked: list[dict[str, Any]] = []
    answers = [{"statusCode": 200}, {"statusCode": status}]

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        asked.append(event)
        return answers[len(asked) - 1]

    event = {"source": "aws.events", "id": "53dc4d37"}
    assert schedule.run(handle, "/swept", event, None) == {"statusCode": 200}
    with pytest.raises(ScheduledRunFailed, match=f"/swept answered {status}"):
        schedule.run(handle, "/swept", event, None)
    assert (asked[0]["requestContext"]["http"]["method"], asked[0]["rawPath"]) == ("POST", "/swept")
    assert asked[0]["headers"] == {"authorization": "Bearer of the scheduler", "x-request-id": "53dc4d37"}
