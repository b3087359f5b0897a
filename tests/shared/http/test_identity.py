"""Who is calling: the platform's word for it, whatever the caller's headers claim."""

from __future__ import annotations

from typing import Any

import pytest

from shared.http.identity import UNKNOWN, client_address

FORGED = {
    "x-forwarded-for": "198.51.100.9",
    "x-real-ip": "198.51.100.9",
    "forwarded": "for=198.51.100.9",
    "x-client-ip": "198.51.100.9",
    "true-client-ip": "198.51.100.9",
    "cf-connecting-ip": "198.51.100.9",
}
VERCELS = {"x-vercel-forwarded-for": "203.0.113.7"}
CLOUDFRONTS = {"cloudfront-viewer-address": "203.0.113.7:4711", "x-origin-secret": "right"}


def _scope(
    headers: dict[str, str] | None = None, *, client: str | None = None, source_ip: str | None = None
) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "client": (client, 50000) if client else None,
    }
    if source_ip is not None:
        scope["aws.event"] = {"requestContext": {"http": {"sourceIp": source_ip}}}
    return scope


@pytest.fixture
def behind_cloudfront(fresh_process: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_LAMBDA_FUNCTION_NAME", "creators"),
        ("TRUSTED_EDGE", "cloudfront"),
        ("EDGE_SECRET", "right"),
        ("IDENTITY_HMAC_KEY", "k" * 32),
    ):
        fresh_process.setenv(name, value)


@pytest.fixture(params=["local", "lambda", "cloudfront", "vercel"])
def platform(request: pytest.FixtureRequest, fresh_process: pytest.MonkeyPatch) -> str:
    fresh_process.setenv("IDENTITY_HMAC_KEY", "k" * 32)
    if request.param in {"lambda", "cloudfront"}:
        fresh_process.setenv("AWS_LAMBDA_FUNCTION_NAME", "creators")
    if request.param == "cloudfront":
        fresh_process.setenv("TRUSTED_EDGE", "cloudfront")
        fresh_process.setenv("EDGE_SECRET", "right")
    if request.param == "vercel":
        fresh_process.setenv("VERCEL", "1")
    return str(request.param)


def test_only_the_platforms_own_word_counts(platform: str) -> None:
    headers = FORGED | VERCELS | CLOUDFRONTS
    found = client_address(_scope(headers, client="192.0.2.1", source_ip="192.0.2.2"))
    assert (
        found
        == {
            "local": "192.0.2.1",
            "lambda": "192.0.2.2",
            "cloudfront": "203.0.113.7",
            "vercel": "203.0.113.7",
        }[platform]
    )


def test_without_the_platforms_word_all_share_one_identity(platform: str) -> None:
    assert client_address(_scope(FORGED)) == UNKNOWN
    for text in ("", "nonsense", "1.2.3", "1.2.3.4.5", "::g", "1.2.3.4, 5.6.7.8", "x" * 5000):
        scope = _scope({"x-vercel-forwarded-for": text}, client=text or None, source_ip=text)
        assert client_address(scope) == UNKNOWN


@pytest.mark.parametrize("secret", ["", "wrong", "right ", "rightright"])
def test_cloudfront_is_believed_only_with_the_origin_secret(behind_cloudfront: None, secret: str) -> None:
    headers = CLOUDFRONTS | {"x-origin-secret": secret}
    assert client_address(_scope(headers, source_ip="192.0.2.2")) == "192.0.2.2"


def test_header_sent_twice_is_not_believed(fresh_process: pytest.MonkeyPatch) -> None:
    fresh_process.setenv("VERCEL", "1")
    fresh_process.setenv("IDENTITY_HMAC_KEY", "k" * 32)
    scope = _scope(VERCELS)
    scope["headers"].append((b"X-Vercel-Forwarded-For", b"198.51.100.9"))
    assert client_address(scope) == UNKNOWN


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_one_household_is_one_identity_however_it_is_written(
    fresh_process: pytest.MonkeyPatch, written: str, shown: str
) -> None:
    assert client_address(_scope(client=written)) == shown


@pytest.mark.parametrize("viewer", ["2001:db8:1:2:3:4:5:6:4711", "[2001:db8:1:2:3:4:5:6]:4711"])
def test_cloudfronts_ipv6_viewer_is_a_household_too(behind_cloudfront: None, viewer: str) -> None:
    headers = {"cloudfront-viewer-address": viewer, "x-origin-secret": "right"}
    assert client_address(_scope(headers)) == "2001:db8:1:2::/64"
