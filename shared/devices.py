"""Device tokens: whoever signed in to an account before brings one back, and is not locked out by strangers' guesses.

Bound to the account's address. It opens nothing: it only has a limit of its own (shared/limits/tiers.py).
"""

from __future__ import annotations

import secrets
import time
from typing import Final

from shared import tokens
from shared.upstash import keys

_KIND: Final = "device"
_DAYS: Final = 365
_ID_BYTES: Final = 16
_TIME_BYTES: Final = 5


def issue(email: str, brought: str | None = None) -> str:
    """A token for the device on which this account has just signed in: the same device if it brought its token."""
    known = device_of(brought, email)
    device = secrets.token_bytes(_ID_BYTES) if known is None else bytes.fromhex(known)
    return tokens.sign(_KIND, device + int(time.time()).to_bytes(_TIME_BYTES, "big") + _account(email))


def device_of(token: object, email: str) -> str | None:
    """The device that a token is of, if we signed it for this account within a year; otherwise None."""
    body = tokens.verified(_KIND, token) if isinstance(token, str) else None
    if body is None or body[_ID_BYTES + _TIME_BYTES :] != _account(email):
        return None
    age = time.time() - int.from_bytes(body[_ID_BYTES : _ID_BYTES + _TIME_BYTES], "big")
    return body[:_ID_BYTES].hex() if age < _DAYS * keys.DAY else None


def _account(email: str) -> bytes:
    return bytes.fromhex(keys.personal("email", email))
