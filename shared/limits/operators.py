"""The gates of routes for operators, and for the scheduler. Who may is told by a bearer token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from fastapi import Depends, Request

from shared.http.problems import OperatorRequired
from shared.limits.gate import Call, Gate, Who
from shared.limits.policies import API, OPERATOR_GUESSES, Policy
from shared.limits.question import Read
from shared.settings import settings

_BUCKET: Final = "operator"
_UNNAMED: Final = "ops"  # whose token is OPS_TOKEN

IsOperator = Callable[[str], bool]  # whether a bearer token is an operator's


class OperatorGate(Gate):
    """Policy api by address; a missing or wrong token is charged as a guess instead, and refused."""

    def __init__(self, is_operator: IsOperator) -> None:
        super().__init__(API, (), None, None)
        self._guesses = Gate(OPERATOR_GUESSES, (), _BUCKET, None)
        self._is_operator = is_operator

    async def __call__(self, request: Request) -> Call:
        if self._is_operator(_bearer(request)):
            return await super().__call__(request)
        await self._guesses(request)
        raise OperatorRequired


class UserOrOperatorGate(Gate):
    """A gate with a session, which lets operators in without one: by policy api and address, with the same reads. A
    wrong token is a session that there is not; nobody guesses 256 bits, and here nothing is to be found out by it."""

    def __init__(self, policy: Policy, reads: tuple[Read, ...]) -> None:
        super().__init__(policy, reads, None, None, Who.USER)
        self._operators = Gate(API, reads, None, None)

    async def __call__(self, request: Request) -> Call:
        return await (self._operators(request) if is_operators(request) else super().__call__(request))


def operator_gate(is_operator: IsOperator) -> Any:
    """Declare that a route is for whoever `is_operator`. Raise OperatorRequired (401), RateLimited, or
    RateLimiterUnavailable for guesses while the limiter is out of reach."""
    return Depends(OperatorGate(is_operator))


def user_or_operator_gate(policy: Policy, *, read: Read | tuple[Read, ...] = ()) -> Any:
    """Declare that a route is for who is signed in, and for operators, whose `Call` has no session. Raise as
    `gate(policy, session=True)` does."""
    return Depends(UserOrOperatorGate(policy, read if isinstance(read, tuple) else (read,)))


def is_operators(request: Request) -> bool:
    """Whether this is an operator's request."""
    return operator_of(_bearer(request)) is not None


def operator_of(token: str) -> str | None:
    """Who has this token: a name of OPS_TOKENS, or `ops` where it is OPS_TOKEN. In constant time."""
    chosen, digest = settings(), sha256(token.encode("utf-8", "replace")).hexdigest()
    known = [(name, hmac.compare_digest(digest, theirs)) for name, theirs in chosen.ops_tokens.items()]
    known.append((_UNNAMED, is_secret(token, chosen.ops_token)))
    return next((name for name, is_theirs in known if is_theirs and token), None)


def is_secret(token: str, secret: str) -> bool:
    """Whether this is the secret, found out in constant time. No secret: nobody is."""
    return bool(secret) and hmac.compare_digest(token.encode("utf-8", "replace"), secret.encode())


def _bearer(request: Request) -> str:
    """Empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
