"""`make platforms`: what serverless.yml and vercel.json say of the functions, written from the functions' own routes.

The routes are in one place, the FastAPI applications. A test fails when these files say something else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.routing import Route as StarletteRoute

from tools.deploy.python import VERSION
from tools.functions import ROOT, function_names, load_app

SERVERLESS: Final = Path("serverless.yml")
VERCEL: Final = Path("vercel.json")
ELSEWHERE: Final = "ready"  # answers what is no function's path, so that it is a problem+json there too

MARKER: Final = "# From here to the end: written by `make platforms` from the routes.\n"
_SECONDS: Final = 25  # as in serverless.yml
_EVERY_MINUTE: Final = "* * * * *"


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A method and a path of a function."""

    function: str
    path: str
    method: str


def route_table(apps: dict[str, FastAPI]) -> list[Route]:
    """Every route of every function, its OpenAPI document included, in order."""
    return sorted(
        Route(name, route.path, method)
        for name, app in apps.items()
        for route in app.routes
        if isinstance(route, StarletteRoute)
        for method in (route.methods or set()) - {"HEAD"}
    )


def schedule_table(apps: dict[str, FastAPI]) -> dict[str, str]:
    """What the platform is to ask for every minute: a path, by its function."""
    asked = {name: getattr(app.state, "scheduled", None) for name, app in sorted(apps.items())}
    return {name: path for name, path in asked.items() if path}


def serverless_functions(table: list[Route], scheduled: dict[str, str]) -> str:
    """The end of serverless.yml.

    Each route by itself, for its own metrics, and for each path whatever other method: HEAD, a preflight, and what the
    application answers with 405.
    """
    lines = [MARKER, "functions:\n"]
    for function in sorted({route.function for route in table}):
        lines += [
            f"  {function}:\n",
            f"    handler: functions/{function}/app.lambda_handler\n",
            "    package:\n",
            f"      artifact: ${{param:zips}}/{function}.zip\n",
            "    snapStart: true\n",
            "    events:\n",
        ]
        mine = [route for route in table if route.function == function]
        for path in sorted({route.path for route in mine}):
            methods = [route.method for route in mine if route.path == path]
            lines += [f"      - httpApi: {method} {path}\n" for method in [*methods, "ANY"]]
        if function == ELSEWHERE:
            lines.append('      - httpApi: "*"\n')
        if function in scheduled:  # its own event, which needs no token: only this account can send it
            lines.append("      - schedule: rate(1 minute)\n")
    return "".join(lines)


def vercel_config(table: list[Route], scheduled: dict[str, str]) -> dict[str, Any]:
    """vercel.json: a service for each function, and the first segments of its paths (decision 0011)."""
    areas = sorted({(route.path.split("/")[1], route.function) for route in table})
    return {
        "$schema": "https://openapi.vercel.sh/vercel.json",
        "build": {"env": {"VERCEL_PYTHON_COMPILEALL": "1"}},
        "services": {function: _service(function) for function in sorted({route.function for route in table})},
        "rewrites": [
            *({"source": f"/{area}/:path*", "destination": {"service": function}} for area, function in areas),
            {"source": "/(.*)", "destination": {"service": ELSEWHERE}},
        ],
        # Asked with GET, and with CRON_SECRET as its bearer.
        "crons": [{"path": path, "schedule": _EVERY_MINUTE} for path in scheduled.values()],
    }


def _service(function: str) -> dict[str, Any]:
    entry = f"functions/{function}/app.py"
    # Everything is left out but the function's own modules and shared/'s, with its scripts. By what may stay, not by
    # what must go: a file that nobody thought of, such as a .env, is left out too.
    others = ["!(functions|shared)", "!(functions|shared)/**", f"functions/!({function}|__init__.py)/**"]
    excluded = "{" + ",".join([*others, "**/.*", "**/!(*.py|*.lua)"]) + "}"
    return {
        "root": ".",
        "framework": "python",
        "entrypoint": entry,
        "functions": {entry: {"excludeFiles": excluded, "maxDuration": _SECONDS}},
    }


def platform_files(apps: dict[str, FastAPI], root: Path = ROOT) -> dict[Path, str]:
    """What every file that `make platforms` writes has to say, by its path from the root."""
    table, scheduled = route_table(apps), schedule_table(apps)
    by_hand, marker, _ = (root / SERVERLESS).read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        raise ValueError(f"{SERVERLESS} has lost the line {MARKER!r}")
    versions = {Path("functions", name, ".python-version"): f"{VERSION}\n" for name in apps}
    return {
        SERVERLESS: by_hand + serverless_functions(table, scheduled),
        VERCEL: json.dumps(vercel_config(table, scheduled), indent=2) + "\n",
        **versions,
    }


def main() -> None:
    for file, text in platform_files({name: load_app(name) for name in function_names()}).items():
        (ROOT / file).write_text(text, encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
