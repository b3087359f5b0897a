"""What the platforms are told of the functions is what FastAPI knows of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI

from tools.deploy.platforms import ELSEWHERE, Route, platform_files, route_table, vercel_config
from tools.functions import ROOT, function_names, load_app

APPS = {name: load_app(name) for name in function_names()}
TABLE = route_table(APPS)


@pytest.mark.parametrize("file", platform_files(APPS), ids=str)
def test_file_says_what_the_routes_say(file: Path) -> None:
    assert (ROOT / file).read_text() == platform_files(APPS)[file], "make platforms"


def test_every_route_of_fastapi_is_in_serverless_yml_and_no_other() -> None:
    functions = yaml.safe_load((ROOT / "serverless.yml").read_text().replace("!Sub ", ""))["functions"]
    every = [(name, event) for name, said in functions.items() for event in said["events"]]
    events = {(name, event["httpApi"]) for name, event in every if "httpApi" in event}
    assert {said for said in events if not said[1].startswith(("ANY", "*"))} == {
        (route.function, f"{route.method} {route.path}") for route in TABLE
    }


def _served_by(path: str) -> str:
    """Who answers this path on Vercel: the first rewrite that fits."""
    for rewrite in json.loads((ROOT / "vercel.json").read_text())["rewrites"]:
        pattern = rewrite["source"].replace("/:path*", "(?:/.*)?").replace("/(.*)", "/.*")
        if re.fullmatch(pattern, path):
            return str(rewrite["destination"]["service"])
    return "nobody"


@pytest.mark.parametrize("route", TABLE, ids=lambda route: f"{route.method} {route.path}")
def test_vercel_sends_every_route_to_its_function(route: Route) -> None:
    assert _served_by(re.sub(r"{\w+}", "x", route.path)) == route.function


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/creators.json", "/readyish"])
def test_path_that_is_nobodys_is_answered_all_the_same(path: str) -> None:
    assert _served_by(path) == ELSEWHERE


def test_new_route_is_a_drift() -> None:
    app = FastAPI(openapi_url=None)

    @app.post("/creators/{username}/wave")
    async def wave(username: str) -> None: ...

    @app.get("/waves")
    async def waves() -> None: ...

    files = platform_files({**APPS, "waves": app})
    assert "      - httpApi: POST /creators/{username}/wave\n" in files[Path("serverless.yml")]
    assert "build/lambda/waves.zip" not in files[Path("serverless.yml")], "the folder is a parameter"
    assert {"source": "/waves/:path*", "destination": {"service": "waves"}} in vercel_config(
        route_table({"waves": app}), {}
    )["rewrites"]


def test_what_is_scheduled_is_asked_every_minute_on_both_platforms() -> None:
    functions = yaml.safe_load((ROOT / "serverless.yml").read_text().replace("!Sub ", ""))["functions"]
    every_minute = {"schedule": "rate(1 minute)"}
    assert [name for name, said in functions.items() if every_minute in said["events"]] == ["payments"]
    crons = json.loads((ROOT / "vercel.json").read_text())["crons"]
    assert crons == [{"path": "/payments/reconcile", "schedule": "* * * * *"}]
    assert Route("payments", "/payments/reconcile", "GET") in TABLE, "Vercel's cron asks with GET"
    assert Route("payments", "/payments/reconcile", "POST") in TABLE, "and Lambda's schedule with POST"
