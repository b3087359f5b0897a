"""What `vercel build` makes of a tree, and each of its functions under Vercel's own runtime."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from tests.artefacts.environment import new_session, settings_of
from tests.artefacts.requests import asked_of
from tests.artefacts.vercel_boot import booted
from tests.conftest import Services
from tools.deploy import vercel
from tools.functions import ROOT, function_names
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow  # runs vercel build

SECRETS = (".env", ".env.production", "functions/ready/.env", "functions/creators/.env.local", "shared/production.env")


@dataclass(frozen=True)
class Built:
    tree: Path

    def config(self, function: str) -> Path:
        (found,) = (self.tree / ".vercel" / "output" / "services" / function).rglob(".vc-config.json")
        return found

    def shipped(self, function: str) -> list[PurePosixPath]:
        files = json.loads(self.config(function).read_text())["filePathMap"]
        beside = [file.name for file in self.config(function).parent.iterdir()]
        return [PurePosixPath(name) for name in [*files, *beside]]


@pytest.fixture(scope="session")
def built(node_tools: None, python_deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A build of the whole tree, as Vercel does it from a repository, with secrets lying about."""
    tree = tmp_path_factory.mktemp("vercel") / "tree"
    made_here = shutil.ignore_patterns(
        ".git", ".venv", "node_modules", "build", ".digis", "__pycache__", ".*_cache", ".vercel"
    )
    shutil.copytree(ROOT, tree, ignore=made_here)
    for name in SECRETS:
        (tree / name).write_text("STRIPE_SECRET_KEY=sk_live_planted\n")
    vercel.build(tree)
    return Built(tree)


@pytest.mark.parametrize("function", function_names())
def test_function_ships_its_own_and_nothing_elses(built: Built, function: str) -> None:
    files = built.shipped(function)
    assert not [file for file in files if ".env" in file.name]
    ours = [file for file in files if file.parts[0] != "_vendor" and file.name not in {".vc-config.json"}]
    assert {file.parts[0] for file in ours} == {"functions", "shared", "vc__handler__python.py"}
    assert {file.parts[1] for file in ours if file.parts[0] == "functions"} == {"__init__.py", "__pycache__", function}
    assert {file.suffix for file in ours} == {".py", ".pyc", ".lua"}


@pytest.mark.parametrize("function", function_names())
def test_function_ships_bytecode_of_all_its_modules(built: Built, function: str) -> None:
    files = set(built.shipped(function))
    modules = [file for file in files if file.suffix == ".py" and file.name != "vc__handler__python.py"]
    compiled = {file.parent / "__pycache__" / f"{file.stem}.cpython-313.pyc" for file in modules}
    assert len(modules) > 100
    assert compiled <= files


@pytest.mark.parametrize("function", function_names())
async def test_function_answers_each_of_its_routes_twice(
    built: Built,
    services: Services,
    rest: RestServer,
    stripe: FakeStripe,
    database_name: str,
    tmp_path: Path,
    function: str,
) -> None:
    env = settings_of(services, rest, database_name) | {"STRIPE_API_BASE": stripe.url}
    async with booted(built.tree, built.config(function), tmp_path / "task", env) as client:
        for asked in asked_of(function):
            headers = {"X-Session-Id": await new_session(env, "luna"), "Content-Type": "application/json"}
            headers |= asked.headers
            body = asked.event.get("body")
            answers = [
                await client.request(asked.method, asked.target, headers=headers, content=body) for _ in range(2)
            ]
            assert tuple(answer.status_code for answer in answers) == asked.answers, (asked.target, answers[-1].text)
            if "x-cache" in answers[0].headers:
                assert [answer.headers["x-cache"] for answer in answers] == ["miss", "hit"]
        unknown = await client.get("/nothing/here")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert rest.connections == 1


def test_copy_that_is_built_from_holds_no_more_than_it_needs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in (
        *SECRETS,
        "vercel.json",
        "functions/ready/app.py",
        "shared/upstash/lua/clock.lua",
        "tests/conftest.py",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    vercel.copy_sources(tmp_path / "copy", source)
    copied = {
        file.relative_to(tmp_path / "copy").as_posix() for file in (tmp_path / "copy").rglob("*") if file.is_file()
    }
    assert copied == {"vercel.json", "functions/ready/app.py", "shared/upstash/lua/clock.lua"}
