"""Each zip under the real Lambda runtime client, on the deployed Python, against the real local stack."""

from __future__ import annotations

import asyncio
import json
import os
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import boto3
import pytest

from tests.artefacts.conftest import Artefacts
from tests.artefacts.environment import new_session, settings_of
from tests.artefacts.requests import EVENTS, asked_of
from tests.artefacts.runtime_api import RuntimeApi
from tests.aws import local_aws
from tests.conftest import Services
from tools.deploy.bundle import Architecture, build
from tools.deploy.closure import files_of
from tools.deploy.python import find_python
from tools.functions import function_names
from tools.local.listener import Listener
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow  # builds every zip


# Megabytes that a zip may have; those that are not named have BUDGET.
BUDGETS = {"ready": 6, "auth": 10, "uploads": 20, "payments": 20}
BUDGET = 9


@asynccontextmanager
async def _booted(
    artefacts: Artefacts, function: str, env: dict[str, str], output: Path = Path(os.devnull)
) -> AsyncIterator[RuntimeApi]:
    """The function's runtime, waiting for events. What it prints goes to a file, as it prints it."""
    api = RuntimeApi()
    async with Listener(api) as listener:
        with output.open("wb") as printed:
            process = await asyncio.create_subprocess_exec(
                *(find_python(), "-m", "awslambdaric", f"functions.{function}.app.lambda_handler"),
                cwd=artefacts.unpacked[function],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{artefacts.unpacked[function]}:{artefacts.runtime}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "AWS_LAMBDA_RUNTIME_API": listener.url.removeprefix("http://"),
                    "AWS_LAMBDA_FUNCTION_NAME": f"digis-{function}",
                    "AWS_REGION": "eu-central-1",
                    **env,
                },
                stdout=printed,
                stderr=asyncio.subprocess.DEVNULL,
            )
        try:
            yield api
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.mark.parametrize("function", function_names())
async def test_zip_answers_each_of_its_routes_twice_over_one_connection(
    artefacts: Artefacts,
    services: Services,
    rest: RestServer,
    stripe: FakeStripe,
    database_name: str,
    function: str,
) -> None:
    env = settings_of(services, rest, database_name) | {"STRIPE_API_BASE": stripe.url}
    async with _booted(artefacts, function, env) as api:
        for asked in asked_of(function):
            event = asked.with_session(await new_session(env, "luna")).event
            answers = [await api.invoke(event) for _ in range(2)]
            assert tuple(answer.get("statusCode") for answer in answers) == asked.answers, (asked.target, answers)
            if "x-cache" in answers[0]["headers"]:
                assert [answer["headers"]["x-cache"] for answer in answers] == ["miss", "hit"]
    assert rest.connections == 1


def _metrics(output: Path) -> list[dict[str, float]]:
    """What CloudWatch would read in a function's output, a line each."""
    lines = [json.loads(line) for line in output.read_text().splitlines() if '"CloudWatchMetrics"' in line]
    assert {(line["service"], line["_aws"]["CloudWatchMetrics"][0]["Namespace"]) for line in lines} <= {
        ("test", "Digis")
    }
    return [{name: found[0] for name, found in line.items() if isinstance(found, list)} for line in lines]


async def test_scheduled_event_leaves_metrics_and_fails_with_stripe_out(
    artefacts: Artefacts,
    services: Services,
    rest: RestServer,
    stripe: FakeStripe,
    database_name: str,
    tmp_path: Path,
) -> None:
    env = settings_of(services, rest, database_name) | {"STRIPE_API_BASE": stripe.url}
    scheduled = json.loads((EVENTS / "payments-scheduled.json").read_text())
    output = tmp_path / "output"
    async with _booted(artefacts, "payments", env, output) as api:
        answer = await api.invoke(scheduled)
        assert answer.get("statusCode") == 200, answer
        drift, figures = _metrics(output)
        assert drift == {"LedgerDriftCents": 0}
        assert {"ReconcileResumed", "ReconcileSettled", "ReconcileFailed", "ReconcileSeconds"} < set(figures)

        await stripe.faults.set(stripe.faults.mode.REFUSE)
        failed = await api.invoke(scheduled)
    assert (failed["errorType"], failed["errorMessage"]) == (
        "ScheduledRunFailed",
        "/payments/reconcile answered 503",
    )
    assert [set(line) for line in _metrics(output)[2:]] == [set(figures)], "no drift is known of"


NEEDED = {
    "ready": ["IDENTITY_HMAC_KEY", "DATABASE_URL"],
    "creators": ["IDENTITY_HMAC_KEY", "DATABASE_URL", "SESSION_KEYS"],
    "analytics": ["IDENTITY_HMAC_KEY", "DATABASE_URL", "SESSION_KEYS"],
    "auth": ["IDENTITY_HMAC_KEY", "DATABASE_URL", "SESSION_KEYS", "OTP_PEPPER", "SMTP_URL", "MAIL_FROM"],
    "payments": [
        *("IDENTITY_HMAC_KEY", "DATABASE_URL", "SESSION_KEYS", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
        *("PAYOUT_ACCOUNT_URL", "CRON_SECRET"),
    ],
}


@pytest.mark.parametrize(("function", "missing"), [(name, one) for name, all_ in NEEDED.items() for one in all_])
async def test_unset_secret_is_a_clear_init_error(
    artefacts: Artefacts, services: Services, rest: RestServer, database_name: str, function: str, missing: str
) -> None:
    env = settings_of(services, rest, database_name)
    del env[missing]
    async with _booted(artefacts, function, env) as api:
        error = await asyncio.wait_for(api.init_error, 20)
    assert error["errorType"] == "SettingsInvalid"
    assert error["errorMessage"] == f"not set: {missing}"


@pytest.mark.parametrize("rotated_well", [True, False])
async def test_copy_of_a_snapshot_reads_secrets_that_have_rotated(
    artefacts: Artefacts,
    services: Services,
    rest: RestServer,
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    rotated_well: bool,
) -> None:
    env = settings_of(services, rest, database_name)
    url = env["DATABASE_URL"]
    with local_aws() as aws:
        for name, value in aws.items():
            monkeypatch.setenv(name, value)
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name="/digis/db", Value="postgresql://old@127.0.0.1:1/old", Type="SecureString")
        env |= aws | {"DATABASE_URL": "ssm:/digis/db", "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
        async with _booted(artefacts, "creators", env) as api:
            await asyncio.wait_for(api.snapshot.wait(), 20)
            if rotated_well:
                ssm.put_parameter(Name="/digis/db", Value=url, Type="SecureString", Overwrite=True)
            else:
                ssm.delete_parameter(Name="/digis/db")
            api.restore.set()
            if rotated_well:
                (profile,) = [one.event for one in asked_of("creators") if one.route.path == "/creators/{username}"]
                answers = [await api.invoke(profile) for _ in range(2)]
                assert [answer["headers"]["x-cache"] for answer in answers] == ["miss", "hit"]
            else:
                error = await asyncio.wait_for(api.init_error, 20)
                assert error["errorMessage"] == "DATABASE_URL: there is no parameter /digis/db that can be read"


def test_zip_carries_its_own_and_nothing_elses(artefacts: Artefacts) -> None:
    for function, bundle in artefacts.zips.items():
        with zipfile.ZipFile(bundle.file) as packed:
            names = packed.namelist()
        sources = [Path(name) for name in names if "__pycache__" not in name]
        ours = {path for path in sources if path.parts[0] in {"functions", "shared"}}
        assert ours == set(files_of(function))
        others = [other for other in function_names() if other != function]
        assert not [name for name in names if name.startswith(tuple(f"functions/{other}/" for other in others))]
        assert not [name for name in names if name.startswith(("tools/", "tests/", "docs/", "migrations/"))]
        assert not [name for name in names if Path(name).name.startswith(".") or name.endswith((".md", ".sql"))]


@pytest.mark.parametrize("function", function_names())
def test_zip_is_within_its_budget(artefacts: Artefacts, tmp_path: Path, function: str) -> None:
    for bundle in (artefacts.zips[function], build(function, Architecture.ARM64, tmp_path)):
        assert bundle.megabytes <= BUDGETS.get(function, BUDGET), bundle.architecture


@pytest.mark.parametrize("architecture", Architecture)
def test_same_source_makes_the_same_bytes(artefacts: Artefacts, tmp_path: Path, architecture: Architecture) -> None:
    one, two = (build("ready", architecture, tmp_path / name).file.read_bytes() for name in ("one", "two"))
    assert one == two
    if architecture is Architecture.X86_64:
        assert one == artefacts.zips["ready"].file.read_bytes()
