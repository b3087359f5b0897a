"""CORS for exact origins. The frontend's requests carry their session in a header, so no credentials are allowed."""

from __future__ import annotations

from typing import Final

from shared.settings import settings

Headers = list[tuple[bytes, bytes]]

_EXPOSED: Final = (
    b"X-Request-Id, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    b"X-RateLimit-Mode, Retry-After, ETag, X-Cache, Idempotency-Replayed"
)
_ALLOWED_HEADERS: Final = b"Content-Type, Authorization, X-Session-Id, X-Request-Id, Idempotency-Key, If-None-Match"
_ALLOWED_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_MAX_AGE_SECONDS: Final = b"7200"  # Chromium's own ceiling


def is_preflight(method: str, headers: dict[bytes, bytes]) -> bool:
    return method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers


def preflight_headers(origin: bytes | None) -> Headers:
    """What a preflight is told beside what every answer is; an origin that is not ours is told nothing."""
    if not _is_allowed(origin):
        return []
    return [
        (b"access-control-allow-methods", _ALLOWED_METHODS),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", _MAX_AGE_SECONDS),
    ]


def answer_headers(origin: bytes | None) -> Headers:
    """What every answer to one of our origins carries, errors included."""
    if not _is_allowed(origin):
        return []
    return [(b"access-control-allow-origin", origin or b""), (b"access-control-expose-headers", _EXPOSED)]


def _is_allowed(origin: bytes | None) -> bool:
    return origin is not None and origin.decode("latin-1") in settings().allowed_origins
