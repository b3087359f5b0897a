"""What a deployed function has loaded after a cached request, by name: a new one is a decision, not an accident."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import Services
from tests.deployed import DEPLOYED_KEYS
from tools.functions import ROOT, cold_event, function_names
from tools.local.rest.server import RestServer

# Third-party packages, as a process on Lambda has them once it has answered from the cache. What costs most is what
# is not here: asyncpg before a query, httpx (which upstash_redis would import), boto3, stripe.
EVERY = {
    *("annotated_doc", "annotated_types", "anyio", "aws_lambda_powertools", "fastapi", "h11", "jmespath", "mangum"),
    *("opentelemetry", "pydantic", "pydantic_core", "starlette", "typing_extensions", "typing_inspection"),
    "upstash_redis",
}
# What a function may have beyond that. One that is not here has nothing more; a stranger's 401 counts as its answer.
MORE: dict[str, set[str]] = {}

SECRETS = DEPLOYED_KEYS | {"DATABASE_URL": "postgresql://x/x"}

PROCESS = """
import importlib, json, sys
sys.path.insert(0, ".")
known = set(sys.modules)
event = json.load(open(sys.argv[2]))
module = importlib.import_module(f"functions.{sys.argv[1]}.app")
answer = module.lambda_handler(event, None)
# powertools imports the bare package botocore, if Lambda's runtime has it, to announce itself: that costs nothing
loaded = {name.partition(".")[0] for name, module in list(sys.modules.items()) if name not in {"botocore", *known}
          and "site-packages" in (getattr(module, "__file__", None) or "")}
print(json.dumps([answer["statusCode"], answer["headers"].get("x-cache"), sorted(loaded)]))
"""


@pytest.mark.parametrize("function", function_names())
async def test_cached_request_loads_no_more_than_is_said_here(
    services: Services, rest: RestServer, database_name: str, function: str
) -> None:
    allowed = EVERY | MORE.get(function, set())
    env = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": function,
        **DEPLOYED_KEYS,
        "DATABASE_URL": services.postgres.url(database_name),
        "UPSTASH_REDIS_REST_URL": rest.url,
        "UPSTASH_REDIS_REST_TOKEN": "local",
    }
    for expected in ("miss", "hit"):  # each in a process of its own: the second is the one that is looked at
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROCESS, function, str(cold_event(function))),
            cwd=ROOT,
            env=env,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        status, cache, loaded = json.loads(out.decode().splitlines()[-1])
        assert status in {200, 401}
        assert cache == (expected if function == "creators" else None)

    assert set(loaded) <= allowed, sorted(set(loaded) - allowed)


def _after_import(code: str, **env: str) -> str:
    """What `code` prints once a function has been imported."""
    done = subprocess.run(
        [sys.executable, "-c", f"import gc, functions.creators.app\n{code}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("env", "shown"),
    [
        (
            {"AWS_LAMBDA_FUNCTION_NAME": "x", **DEPLOYED_KEYS, "DATABASE_URL": "postgresql://x/x"},
            "True True",
        ),
        ({"VERCEL": "1", **DEPLOYED_KEYS, "DATABASE_URL": "postgresql://x/x"}, "True True"),
        ({}, "True False"),
    ],
)
def test_collector_works_again_and_leaves_alone_what_imports_made(env: dict[str, str], shown: str) -> None:
    assert _after_import("print(gc.isenabled(), gc.get_freeze_count() > 10_000)", **env) == shown


def test_fastapis_own_models_are_built_only_when_the_document_is_asked_for() -> None:
    code = """
from fastapi.openapi.models import OpenAPI
from functions.creators.schemas import CreatorOut
from pydantic import BaseModel
print(OpenAPI.__pydantic_complete__, CreatorOut.__pydantic_complete__, "defer_build" in BaseModel.model_config)
functions.creators.app.app.openapi()
print(OpenAPI.__pydantic_complete__)
"""
    assert _after_import(code) == "False True False\nTrue"


def test_metrics_are_imported_by_whoever_has_some() -> None:
    code = """
import sys, functions.payments.app
from shared import telemetry
print("aws_lambda_powertools.metrics" in sys.modules)
telemetry.measure(LedgerDriftCents=0)
print("aws_lambda_powertools.metrics" in sys.modules)
"""
    before, _, after = _after_import(code, AWS_LAMBDA_FUNCTION_NAME="x", **SECRETS).splitlines()
    assert (before, after) == ("False", "True")
