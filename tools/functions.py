"""Which functions there are: every folder of functions/ that has an app.py. A new one joins by existing."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "functions"
_COLD: Final = {
    "analytics": "GET /analytics/creator/{creator_id}/earnings",
    "creators": "GET /creators/{username}",
    "payments": "GET /payments/packages",
    "ready": "GET /live",
}


def function_names() -> list[str]:
    return sorted(file.parent.name for file in FOLDER.glob("*/app.py"))


def cold_event(name: str) -> Path:
    """The event that a cold start of this function is measured and judged with: a GET that the cache can answer."""
    events = sorted((ROOT / "tests" / "events").glob("*.json"))
    routes = {json.loads(file.read_text()).get("routeKey", ""): file for file in events}
    best = _COLD.get(name)
    return routes[best or next(route for route in routes if route.startswith(f"GET /{name}"))]


def load_app(name: str) -> FastAPI:
    """Import a function as its platform does. Settings must be in the environment by now."""
    app = importlib.import_module(f"functions.{name}.app").app
    assert isinstance(app, FastAPI)
    return app


def load_lambda_handler(name: str) -> Any:
    return importlib.import_module(f"functions.{name}.app").lambda_handler


def merged_openapi(apps: dict[str, FastAPI]) -> dict[str, Any]:
    """One document for all functions: what the frontend generates its client from."""
    merged: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Digis", "version": "1"},
        "paths": {},
        "components": {"schemas": {}},
    }
    for name, app in sorted(apps.items()):
        document = app.openapi()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation.setdefault("tags", [name])
            merged["paths"][path] = operations
        for schema_name, schema in document["components"]["schemas"].items():
            known = merged["components"]["schemas"].setdefault(schema_name, schema)
            if known != schema:
                raise ValueError(f"{schema_name} means two things: {name} has another than a function before it")
    return merged
