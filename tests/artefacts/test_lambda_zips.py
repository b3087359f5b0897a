"""Each zip under the real Lambda runtime client, on the deployed Python, against the real local stack."""

from __future__ import annotations

import asyncio
import json
import os
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.artefacts.conftest import Artefacts
from tests.artefacts.runtime_api import RuntimeApi
from tests.conftest import Services
from tools.deploy.bundle import Architecture, build
from tools.deploy.closure import files_of
from tools.deploy.python import find_python
from tools.functions import ROOT, function_names
from tools.local.listener import Listener
from tools.local.rest.server import RestServer

pytestmark = pytest.mark.slow  # builds every zip

EVENTS = ROOT / "tests" / "events"
MEGABYTES = {"ready": 6, "creators": 9}


@asynccontextmanager
async def _booted(artefacts: Artefacts, function: str, **env: str) -> AsyncIterator[RuntimeApi]:
    """The function's runtime, waiting for events."""
    api = RuntimeApi()
    async with Listener(api) as listener:
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
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield api
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _env(services: Services, rest: RestServer, database_name: str) -> dict[str, str]:
    return {
        "UPSTASH_REDIS_REST_URL": rest.url,
        "UPSTASH_REDIS_REST_TOKEN": "local",
        "DATABASE_URL": services.postgres.url(database_name),
        "IDENTITY_HMAC_KEY": "k" * 32,
        "STAGE": "test",
    }


def _event(name: str) -> dict[str, Any]:
    return dict(json.loads((EVENTS / f"{name}.json").read_text()))


@pytest.mark.parametrize(
    ("function", "events"),
    [("ready", ["ready", "live"]), ("creators", ["creators-profile", "creators-list"])],
)
async def test_zip_answers_each_of_its_routes_twice_over_one_connection(
    artefacts: Artefacts,
    services: Services,
    rest: RestServer,
    database_name: str,
    function: str,
    events: list[str],
) -> None:
    async with _booted(artefacts, function, **_env(services, rest, database_name)) as api:
        answers = [await api.invoke(_event(name)) for name in events for _ in range(2)]

    assert [answer.get("statusCode") for answer in answers] == [200] * 4, answers
    assert rest.connections == 1
    if function == "creators":
        assert [answer["headers"]["x-cache"] for answer in answers] == ["miss", "hit"] * 2


def test_every_route_has_an_event() -> None:
    events = {json.loads(file.read_text())["routeKey"] for file in EVENTS.glob("*.json")}
    document = json.loads((ROOT / "openapi.json").read_text())
    routes = {f"{method.upper()} {path}" for path, found in document["paths"].items() for method in found}
    assert routes <= events


@pytest.mark.parametrize("missing", ["IDENTITY_HMAC_KEY", "DATABASE_URL"])
async def test_unset_secret_is_a_clear_init_error(
    artefacts: Artefacts, services: Services, rest: RestServer, database_name: str, missing: str
) -> None:
    env = _env(services, rest, database_name)
    del env[missing]
    async with _booted(artefacts, "creators", **env) as api:
        error = await asyncio.wait_for(api.init_error, 20)
    assert error["errorType"] == "SettingsInvalid"
    assert error["errorMessage"] == f"not set: {missing}"


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


def test_zip_is_within_its_budget(artefacts: Artefacts) -> None:
    sizes = {name: round(bundle.megabytes, 2) for name, bundle in artefacts.zips.items()}
    assert set(sizes) == set(MEGABYTES)
    assert not {name: size for name, size in sizes.items() if size > MEGABYTES[name]}, sizes


@pytest.mark.parametrize("architecture", Architecture)
def test_same_source_makes_the_same_bytes(artefacts: Artefacts, tmp_path: Path, architecture: Architecture) -> None:
    one, two = (build("ready", architecture, tmp_path / name).file.read_bytes() for name in ("one", "two"))
    assert one == two
    if architecture is Architecture.X86_64:
        assert one == artefacts.zips["ready"].file.read_bytes()
