"""serverless.yml through osls: the template that it makes, and a function called as the README says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.artefacts.conftest import Artefacts
from tests.artefacts.environment import settings_of
from tests.artefacts.requests import table
from tests.conftest import Services
from tools.functions import ROOT, function_names
from tools.local.rest.server import RestServer

pytestmark = pytest.mark.slow  # installs the Node tools

Resources = dict[str, dict[str, Any]]
OSLS = ROOT / "node_modules" / ".bin" / "osls"


def _osls(*arguments: str | Path, **env: str) -> str:
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": os.environ["HOME"]}
    done = subprocess.run(
        [OSLS, *arguments], cwd=ROOT, env=here | env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def template(node_tools: None, artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Resources:
    output = tmp_path_factory.mktemp("serverless")
    zips = next(iter(artefacts.zips.values())).file.parent
    _osls("package", "--package", output, "--param", f"zips={zips}")
    resources: Resources = json.loads((output / "cloudformation-template-update-stack.json").read_text())["Resources"]
    return resources


def _of_type(resources: Resources, kind: str) -> list[dict[str, Any]]:
    return [found["Properties"] for found in resources.values() if found["Type"] == kind]


def test_templates_routes_are_the_functions_own(template: Resources) -> None:
    routes = {
        (route["RouteKey"], _function_of(template, route)) for route in _of_type(template, "AWS::ApiGatewayV2::Route")
    }
    expected = {(f"{route.method} {route.path}", route.function) for route in table()}
    every_method = {(f"ANY {route.path}", route.function) for route in table()}
    assert routes == expected | every_method | {("$default", "ready")}


def _function_of(resources: Resources, route: dict[str, Any]) -> str:
    """integrations/<id> -> its function's ARN, with the alias of its snapshot."""
    integration = resources[route["Target"]["Fn::Join"][1][1]["Ref"]]["Properties"]
    arn, alias = integration["IntegrationUri"]["Fn::Join"][1]
    assert alias == "snapstart"
    return str(resources[arn["Fn::GetAtt"][0]]["Properties"]["FunctionName"]).removeprefix("digis-dev-")


def test_template_runs_the_zips_on_the_deployed_python(template: Resources) -> None:
    functions = {
        one["FunctionName"].removeprefix("digis-dev-"): one for one in _of_type(template, "AWS::Lambda::Function")
    }
    assert sorted(functions) == function_names()
    for name, one in functions.items():
        assert one["Handler"] == f"functions/{name}/app.lambda_handler"
        assert one["Code"]["S3Key"].endswith(f"/{name}.zip")
        assert (one["Runtime"], one["SnapStart"]) == ("python3.13", {"ApplyOn": "PublishedVersions"})


def test_cors_is_the_applications_own(template: Resources) -> None:
    (api,) = _of_type(template, "AWS::ApiGatewayV2::Api")
    assert "CorsConfiguration" not in api


def test_template_holds_no_secret(template: Resources) -> None:
    for function in _of_type(template, "AWS::Lambda::Function"):
        variables = function["Environment"]["Variables"]
        for name in (
            *("DATABASE_URL", "IDENTITY_HMAC_KEY", "UPSTASH_REDIS_REST_TOKEN", "SESSION_KEYS", "OTP_PEPPER"),
            *("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "CRON_SECRET"),
        ):
            assert variables[name] == f"ssm:/digis/dev/{name}"


def test_schedule_invokes_the_snapshot_of_payments(template: Resources) -> None:
    (rule,) = _of_type(template, "AWS::Events::Rule")
    (target,) = rule["Targets"]
    function, alias = target["Arn"]["Fn::Join"][1]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    assert (template[function["Fn::GetAtt"][0]]["Properties"]["FunctionName"], alias) == (
        "digis-dev-payments",
        "snapstart",
    )


def test_alarms_are_of_what_the_functions_measure(template: Resources) -> None:
    """tests/shared/test_telemetry.py has what a metric looks like in the log."""
    (stage,) = {one["Environment"]["Variables"]["STAGE"] for one in _of_type(template, "AWS::Lambda::Function")}
    watched = [metric for alarm in _of_type(template, "AWS::CloudWatch::Alarm") for metric in _metrics_of(alarm)]
    ours = [metric for metric in watched if metric["Namespace"] == "Digis"]
    source = "".join(file.read_text() for file in (ROOT / "functions").rglob("*.py"))
    measured = set(re.findall(r"measure\((\w+)=", source))
    assert {metric["MetricName"] for metric in ours} == {"LedgerDriftCents", "PayoutsSentTwice"} <= measured
    assert all(metric["Dimensions"] == [{"Name": "service", "Value": stage}] for metric in ours)
    (errors,) = [metric for metric in watched if metric["Namespace"] == "AWS/Lambda"]
    function = template[errors["Dimensions"][0]["Value"]["Ref"]]["Properties"]["FunctionName"]
    assert (errors["MetricName"], function) == ("Errors", "digis-dev-payments")


def _metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    several = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
    return several or [alarm]


def test_every_alarm_tells_the_topic(template: Resources) -> None:
    (topic,) = [name for name, found in template.items() if found["Type"] == "AWS::SNS::Topic"]
    alarms = _of_type(template, "AWS::CloudWatch::Alarm")
    assert len(alarms) == 4
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in alarms)


async def test_invoke_local_answers(node_tools: None, services: Services, rest: RestServer, database_name: str) -> None:
    event = ROOT / "tests" / "events" / "creators-profile.json"
    command = ("invoke", "local", "--function", "creators", "--path", event)
    shown = await asyncio.to_thread(_osls, *command, **settings_of(services, rest, database_name))
    answer = json.loads(shown[shown.index("\n{\n") :])  # after the access log
    assert answer["statusCode"] == 200
    assert answer["headers"]["x-cache"] == "miss"
    assert json.loads(answer["body"])["creator"]["username"] == "luna"
