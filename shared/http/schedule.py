"""What a schedule asks of a function on Lambda: the same route that Vercel's cron asks over HTTP, once a minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from shared.settings import settings

Handle = Callable[[dict[str, Any], Any], dict[str, Any]]

_SOURCE: Final = "aws.events"
_OK: Final = 200


class ScheduledRunFailed(Exception):
    """It was answered with something else than 200: Lambda counts the error, and runs it again."""


def is_scheduled(event: dict[str, Any]) -> bool:
    """Only who may invoke the function itself can send one: over HTTP everything is inside a request."""
    return event.get("source") == _SOURCE and "requestContext" not in event


def run(handle: Handle, path: str, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """POST to the path, with the scheduler's token. Raise ScheduledRunFailed."""
    answer = handle(_request(path, str(event.get("id", ""))), context)
    if answer["statusCode"] != _OK:
        raise ScheduledRunFailed(f"{path} answered {answer['statusCode']}")
    return answer


def _request(path: str, request_id: str) -> dict[str, Any]:
    """As API Gateway's HTTP API would send it."""
    http = {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": _SOURCE}
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {settings().cron_secret}", "x-request-id": request_id},
        "requestContext": {"http": http, "stage": "$default"},
        "isBase64Encoded": False,
    }
