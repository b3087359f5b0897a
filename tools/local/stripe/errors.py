"""What Stripe refuses, and how it says so: https://docs.stripe.com/api/errors."""

from __future__ import annotations

from typing import Any


class StripeRefused(Exception):
    """An error in Stripe's shape. `is_stored`: it began executing, so its idempotency key replays it."""

    def __init__(self, status: int, kind: str, message: str, *, is_stored: bool = True, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.is_stored = is_stored
        self.error = {"type": kind, "message": message, **{k: v for k, v in fields.items() if v is not None}}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> StripeRefused:
    """A parameter that is wrong whatever the state: refused before anything executes, and not stored."""
    return StripeRefused(400, "invalid_request_error", message, is_stored=False, param=param, code=code)


def refused(message: str, *, code: str | None = None, param: str | None = None, **fields: Any) -> StripeRefused:
    """A request that the state does not allow."""
    return StripeRefused(400, "invalid_request_error", message, code=code, param=param, **fields)


def in_dollars(cents: int) -> str:
    """An amount as Stripe's messages name it."""
    return f"${cents // 100:,}.{cents % 100:02}"


def missing(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> StripeRefused:
    return StripeRefused(
        status, "invalid_request_error", f"No such {kind}: '{object_id}'", code="resource_missing", param=param
    )


def unauthorized(message: str) -> StripeRefused:
    return StripeRefused(401, "invalid_request_error", message, is_stored=False)


def unrecognized(method: str, path: str) -> StripeRefused:
    message = f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs"
    return StripeRefused(404, "invalid_request_error", message, is_stored=False)


def failed() -> StripeRefused:
    """Stripe's own 500: something began and came to nothing."""
    return StripeRefused(500, "api_error", "Sorry! There was an error while talking to one of our backends.")
