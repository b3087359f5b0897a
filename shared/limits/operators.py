"""The gate of routes that no user calls: operators, and the scheduler. Who may is told by a bearer token alone."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final

from fastapi import Depends, Request

from shared.http.problems import OperatorRequired
from shared.limits.gate import Call, Gate
from shared.limits.policies import API, OPERATOR_GUESSES

_BUCKET: Final = "operator"

IsOperator = Callable[[str], bool]  # whether a bearer token is an operator's


class OperatorGate(Gate):
    """Policy api by address; a missing or wrong token is charged as a guess instead, and refused."""

    def __init__(self, is_operator: IsOperator) -> None:
        super().__init__(API, None, None, None)
        self._guesses = Gate(OPERATOR_GUESSES, None, _BUCKET, None)
        self._is_operator = is_operator

    async def __call__(self, request: Request) -> Call:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_operator(token.strip()):
            return await super().__call__(request)
        await self._guesses(request)
        raise OperatorRequired


def operator_gate(is_operator: IsOperator) -> Any:
    """Declare that a route is for whoever `is_operator`. Raise OperatorRequired (401), RateLimited, or
    RateLimiterUnavailable for guesses while the limiter is out of reach."""
    return Depends(OperatorGate(is_operator))


def is_secret(token: str, secret: str) -> bool:
    """Whether this is the secret, found out in constant time. No secret: nobody is."""
    return bool(secret) and hmac.compare_digest(token.encode("utf-8", "replace"), secret.encode())
