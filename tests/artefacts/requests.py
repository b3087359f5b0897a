"""What is asked of every artefact: a request for each route of its function, as API Gateway would send it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tools.deploy.platforms import Route, route_table
from tools.functions import ROOT, function_names, load_app

EVENTS = ROOT / "tests" / "events"
_OWN_HEADERS = {"authorization", "idempotency-key", "stripe-signature"}


# What a route answers the first time and the second, where that is not 200 both times. The signed-in are luna.
ANSWERS = {
    "POST /auth/register": (201, 409),
    "POST /auth/otp/request": (503, 503),  # there is no mail server here
    "POST /auth/otp/verify": (401, 401),
    "POST /auth/password/reset": (401, 401),
    "DELETE /auth/sessions/{session_id}": (404, 404),
    "POST /auth/logout": (204, 401),
    "POST /auth/logout-all": (204, 401),
    "PUT /creators/{username}/follow": (204, 204),
    "DELETE /creators/{username}/follow": (204, 204),
    "POST /payments/tokens/purchase": (201, 201),
    "GET /payments/purchases/{purchase_id}": (404, 404),
    "POST /payments/charge": (402, 402),  # luna has earnings, and no tokens to spend
    "POST /payments/payout-account": (201, 201),
    "POST /payments/payouts": (201, 201),  # under one key: the second is the first one's answer
    "POST /payments/webhooks/stripe": (400, 400),  # signed long ago
    "POST /streams": (201, 409),
    "GET /streams/{stream_id}": (404, 404),
    "POST /streams/{stream_id}/heartbeat": (404, 404),
    "POST /streams/{stream_id}/viewers": (404, 404),
    "DELETE /streams/{stream_id}": (404, 404),
}


@dataclass(frozen=True)
class Asked:
    """A request for one route. Its event comes from the file of tests/events with that routeKey."""

    route: Route
    event: dict[str, Any]

    @property
    def answers(self) -> tuple[int, int]:
        return ANSWERS.get(f"{self.route.method} {self.route.path}", (200, 200))

    def with_session(self, token: str) -> Asked:
        return Asked(self.route, self.event | {"headers": self.event["headers"] | {"x-session-id": token}})

    @property
    def headers(self) -> dict[str, str]:
        """Those of its own, beside what every request has."""
        return {name: value for name, value in self.event["headers"].items() if name in _OWN_HEADERS}

    @property
    def method(self) -> str:
        return self.route.method

    @property
    def target(self) -> str:
        query = self.event["rawQueryString"]
        return f"{self.event['rawPath']}?{query}" if query else str(self.event["rawPath"])


def table() -> list[Route]:
    return route_table({name: load_app(name) for name in function_names()})


def asked_of(function: str) -> list[Asked]:
    """One request for each of the function's routes. Raise KeyError for a route that has no event."""
    every = [json.loads(file.read_text()) for file in EVENTS.glob("*.json")]
    events = {event["routeKey"]: event for event in every if "routeKey" in event}  # a schedule's has none
    return [
        Asked(route, events.get(f"{route.method} {route.path}") or _document(route, events["GET /ready"]))
        for route in table()
        if route.function == function
    ]


def _document(route: Route, template: dict[str, Any]) -> dict[str, Any]:
    """The event for a function's OpenAPI document, which is the same for all."""
    if not route.path.endswith("/openapi.json"):
        raise KeyError(f"no file of {EVENTS.name} asks for {route.method} {route.path}")
    text = json.dumps(template).replace("GET /ready", f"GET {route.path}").replace('"/ready"', f'"{route.path}"')
    return dict(json.loads(text))
