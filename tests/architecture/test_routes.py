"""Every route of every function keeps the rules about routes; each rule is broken once on purpose."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

from shared.http.codes import Code
from shared.http.problems import Problem
from shared.limits.gate import gate, ungated
from shared.limits.policies import PAYMENT, PUBLIC
from tests.architecture.route_rules import blocking_parts, routes_of, routes_without_one_gate, wrapped_middleware
from tools.functions import function_names, load_app, merged_openapi


@pytest.mark.parametrize("name", function_names())
def test_routes_keep_the_rules(name: str) -> None:
    app = load_app(name)

    assert routes_of(app), "a function without a route is none"
    assert routes_without_one_gate(app) == []
    assert blocking_parts(app) == []
    assert wrapped_middleware(app) == []


def test_two_functions_never_share_a_first_segment_or_an_operation() -> None:
    segments = [(route.path.split("/")[1], name) for name in function_names() for route in routes_of(load_app(name))]
    owners: dict[str, str] = {}
    for segment, name in segments:
        assert owners.setdefault(segment, name) == name
    operations = [
        operation["operationId"]
        for path in merged_openapi({name: load_app(name) for name in function_names()})["paths"].values()
        for operation in path.values()
    ]
    assert len(set(operations)) == len(operations)


def _app_with(*dependencies: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/", dependencies=list(dependencies))
    async def show() -> None: ...

    return app


def test_route_without_a_gate_is_seen() -> None:
    assert routes_without_one_gate(_app_with()) == ["/ has 0 gates"]


def test_route_with_two_gates_is_seen() -> None:
    assert routes_without_one_gate(_app_with(gate(PUBLIC), ungated("why not have both"))) == ["/ has 2 gates"]


def test_gate_of_a_gate_is_seen() -> None:
    async def nested(_: Annotated[Any, gate(PUBLIC)]) -> None: ...

    assert routes_without_one_gate(_app_with(Depends(nested))) == []
    assert routes_without_one_gate(_app_with(Depends(nested), gate(PUBLIC))) == ["/ has 2 gates"]


def test_missing_reason_is_seen() -> None:
    assert routes_without_one_gate(_app_with(ungated(""))) == ["/ does not say why it has no limit"]


def test_sync_dependency_and_endpoint_are_seen() -> None:
    def slow() -> None: ...

    app = _app_with(Depends(slow))

    @app.get("/sync")
    def show() -> None: ...

    assert [part.split(":")[0] for part in blocking_parts(app)] == ["/", "/sync"]


def test_wrapped_middleware_is_seen() -> None:
    app = _app_with()
    app.add_middleware(BaseHTTPMiddleware)

    assert len(wrapped_middleware(app)) == 1


def test_policy_that_counts_users_is_refused_where_nobody_can_tell_who_calls() -> None:
    with pytest.raises(ValueError, match="payment counts users"):
        gate(PAYMENT)


def test_every_problem_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in Problem.__subclasses__()]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= set(Code)
