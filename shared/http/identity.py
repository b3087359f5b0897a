"""Who is calling, by address. The platform is known from the environment, never from a header's presence."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from shared.settings import Platform, settings

UNKNOWN: Final = "unknown"  # one shared identity: an address that cannot be read is slowed, never an error


def client_address(scope: Mapping[str, Any]) -> str:
    """The caller's address in canonical form, an IPv6 one as its /64 (one household, one bucket), or `unknown`.

    Lambda: the request context's source IP, or CloudFront's viewer address where this deployment trusts it and
    the request carries the origin secret. Vercel: the header that its proxy overwrites. A laptop: the socket.
    """
    platform = settings().platform
    if platform is Platform.LAMBDA:
        return _canonical(_cloudfront_viewer(scope) or _source_ip(scope))
    if platform is Platform.VERCEL:
        return _canonical(_header(scope, b"x-vercel-forwarded-for"))
    client = scope.get("client")
    return _canonical(client[0] if client else None)


def _canonical(text: str | None) -> str:
    try:
        address = ipaddress.ip_address((text or "").strip().partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _source_ip(scope: Mapping[str, Any]) -> str | None:
    context = scope.get("aws.event", {}).get("requestContext", {})
    source = context.get("http", {}).get("sourceIp")
    return source if isinstance(source, str) else None


def _cloudfront_viewer(scope: Mapping[str, Any]) -> str | None:
    chosen = settings()
    if chosen.trusted_edge != "cloudfront":
        return None
    presented = _header(scope, b"x-origin-secret") or ""
    if not hmac.compare_digest(presented.encode("latin-1"), chosen.edge_secret.encode()):
        return None
    viewer = _header(scope, b"cloudfront-viewer-address")
    return viewer.rpartition(":")[0].strip("[]") if viewer else None  # "address:port", for IPv6 too


def _header(scope: Mapping[str, Any], name: bytes) -> str | None:
    values = [value for key, value in scope.get("headers", ()) if bytes(key).lower() == name]
    # Twice the same header is not the platform's own doing: better unknown than chosen by the caller.
    return bytes(values[0]).decode("latin-1") if len(values) == 1 else None
