"""The rules that are about routes as FastAPI has built them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.middleware.base import BaseHTTPMiddleware

from shared.limits.gate import Gate, Ungated


def routes_of(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]


def routes_without_one_gate(app: FastAPI) -> list[str]:
    """Every route declares exactly one gate(...) or ungated("reason")."""
    broken = []
    for route in routes_of(app):
        gates = [part for part in _dependencies(route.dependant) if isinstance(part.call, Gate | Ungated)]
        if len(gates) != 1:
            broken.append(f"{route.path} has {len(gates)} gates")
        elif isinstance(gates[0].call, Ungated) and len(gates[0].call.reason.split()) < 3:
            broken.append(f"{route.path} does not say why it has no limit")
    return broken


def blocking_parts(app: FastAPI) -> list[str]:
    """Async all the way: a sync endpoint or dependency runs in a thread, three times as slow."""
    return [
        f"{route.path}: {part.call} is not async"
        for route in routes_of(app)
        for part in (route.dependant, *_dependencies(route.dependant))
        if part.call is not None and not _is_async(part.call)
    ]


def wrapped_middleware(app: FastAPI) -> list[str]:
    """Pure ASGI alone: BaseHTTPMiddleware costs as much as two requests."""
    return [
        f"{middleware.cls} is a BaseHTTPMiddleware"
        for middleware in app.user_middleware
        if isinstance(middleware.cls, type) and issubclass(middleware.cls, BaseHTTPMiddleware)
    ]


def _dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for part in dependant.dependencies:
        yield part
        yield from _dependencies(part)


def _is_async(call: object) -> bool:
    candidates = (call, getattr(call, "__call__", None))  # noqa: B004 -- an instance is async by its __call__
    return any(inspect.iscoroutinefunction(part) or inspect.isasyncgenfunction(part) for part in candidates)
