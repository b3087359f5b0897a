"""A function's OpenAPI document: FastAPI's own, with our problems in it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from shared.http.problems import (
    Internal,
    Problem,
    ProblemOut,
    RateLimited,
    RateLimiterUnavailable,
    ValidationFailed,
    problems,
)
from shared.limits.gate import Gate
from shared.limits.policies import WhenOut


def describe(app: FastAPI) -> dict[str, Any]:
    """Every operation with each problem that it can answer: its own, its gate's, and those that any may."""
    schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                responses = schema["paths"][route.path_format][method.lower()]["responses"]
                responses.pop("422", None)  # FastAPI's own form of it, which nobody here is sent
                for status, response in problems(*_always(route)).items():
                    responses.setdefault(str(status), response)
    _, definitions = models_json_schema([(ProblemOut, "serialization")], ref_template="#/components/schemas/{model}")
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return schema


def gate_of(route: APIRoute) -> Gate | None:
    """The gate that a route declares, if it declares one."""
    return next((part.call for part in route.dependant.dependencies if isinstance(part.call, Gate)), None)


def _always(route: APIRoute) -> list[type[Problem]]:
    found: list[type[Problem]] = [Internal]
    dependant = route.dependant
    if dependant.path_params or dependant.query_params or dependant.header_params or dependant.body_params:
        found.append(ValidationFailed)
    if gate := gate_of(route):
        found.append(RateLimited)
        if gate.policy.when_out is WhenOut.CLOSED:
            found.append(RateLimiterUnavailable)
    return found
