"""The tree keeps every rule; and each rule, broken on purpose in a small tree, is seen to be broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import rules
from tools.functions import ROOT

APP = '"""A function."""\napp = create_app("creators", router)\nlambda_handler = lambda_entry(app)\n'
KEYS = 'USER = Prefix("user", MEDIUM)\n'
TABLE = "CREATE TABLE creators (id int);\nCOMMENT ON TABLE creators IS 'Written by functions/creators.';\n"

# rule -> a file that breaks it, and what is in that file. Several: each breaks it by itself.
BREAKS: list[tuple[rules.Rule, str, str]] = [
    (rules.imports_run_one_way, "functions/creators/routes.py", "from functions.creators import repository"),
    (rules.imports_run_one_way, "functions/creators/repository.py", "from functions.creators.service import x"),
    (rules.imports_run_one_way, "functions/creators/service.py", "import functions.auth.service"),
    (rules.imports_run_one_way, "functions/creators/service.py", "from ..auth import service"),
    (rules.imports_run_one_way, "functions/creators/repository.py", "from .service import x"),
    (rules.imports_run_one_way, "functions/creators/schemas.py", "from functions.creators import repository"),
    (rules.imports_run_one_way, "shared/cache/space.py", "from functions.creators import schemas"),
    (rules.imports_run_one_way, "shared/locks.py", "def f():\n    from tools.local import redis"),
    (rules.services_know_no_http, "functions/creators/service.py", "from fastapi import HTTPException"),
    (rules.services_know_no_http, "functions/creators/repository.py", "import starlette.responses"),
    (rules.libraries_have_one_owner, "shared/cache/space.py", "from upstash_redis.asyncio import Redis"),
    (rules.libraries_have_one_owner, "functions/auth/service.py", "import stripe"),
    (rules.libraries_have_one_owner, "functions/payments/charges.py", "def f():\n    import boto3"),
    (rules.package_inits_are_empty, "shared/cache/__init__.py", "from shared.cache.space import Space"),
    (rules.package_inits_are_empty, "functions/__init__.py", f"{rules.COLD_START}\nprint('more')\n"),
    (rules.package_inits_are_empty, "functions/creators/__init__.py", rules.COLD_START),
    (rules.no_module_exports_handler, "functions/creators/app.py", f"{APP}handler = lambda_handler\n"),
    (rules.no_module_exports_handler, "functions/creators/routes.py", "def handler():\n    pass"),
    (rules.no_module_exports_handler, "shared/http/app.py", "from x import y as handler"),
    (rules.apps_are_two_lines, "functions/creators/app.py", f"{APP}print('ready')\n"),
    (rules.apps_are_two_lines, "functions/creators/app.py", '"""A function."""\napp = FastAPI()\n'),
    (rules.files_are_short, "tools/cli/long.py", "x = 1\n" * 251),
    (rules.tables_have_one_writer, "functions/auth/repository.py", "SQL = 'UPDATE creators SET bio = $1'"),
    (rules.tables_have_one_writer, "shared/presence.py", "SQL = f'INSERT INTO creators {x}'"),
    (rules.tables_have_one_writer, "migrations/0002_more.sql", "CREATE TABLE orphans (id int);"),
    (rules.keys_are_made_in_the_registry, "functions/creators/service.py", "key = f'user:{name}'"),
    (rules.lifetimes_and_quotas_are_in_their_registry, "shared/locks.py", "f(['SET', key, value, 'EX', 60])"),
    (rules.lifetimes_and_quotas_are_in_their_registry, "functions/auth/service.py", "hold(name, ttl=60)"),
    (rules.randomness_is_the_systems, "shared/cache/entry.py", "import random\njitter = random.uniform(0, 1)"),
    (rules.randomness_is_the_systems, "functions/auth/service.py", "from random import choice"),
]


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """A tree that keeps every rule."""
    for path, text in {
        "functions/creators/app.py": APP,
        "functions/creators/routes.py": "from functions.creators import schemas, service\n",
        "functions/creators/service.py": "from functions.creators import repository, schemas\n",
        "functions/creators/repository.py": "SQL = 'UPDATE creators SET bio = $1'\n",
        "functions/creators/__init__.py": "",
        "shared/upstash/keys.py": KEYS,
        "shared/upstash/sdk.py": "from upstash_redis.asyncio import Redis\n",
        "migrations/0001_people.sql": TABLE,
    }.items():
        _write(tmp_path / path, text)
    return tmp_path


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept(rule: rules.Rule, small_tree: Path) -> None:
    assert rule(small_tree) == []
    assert rule(ROOT) == []


@pytest.mark.parametrize(("rule", "path", "text"), BREAKS, ids=lambda part: getattr(part, "__name__", None))
def test_rule_sees_when_it_is_broken(small_tree: Path, rule: rules.Rule, path: str, text: str) -> None:
    _write(small_tree / path, text)

    assert rule(small_tree), f"{rule.__name__} sees nothing wrong with {path}"


def test_every_rule_has_something_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BREAKS} == set(rules.RULES)


def test_shared_has_a_limit_in_all(small_tree: Path) -> None:
    for number in range(15):
        _write(small_tree / f"shared/part_{number}.py", "x = 1\n" * 240)

    assert rules.files_are_short(small_tree) == ["shared/ has 3602 lines of code"]


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
