"""Whatever is sent to payments, by whoever, is answered with a 4xx problem and never a 5xx, and moves nothing."""

from __future__ import annotations

import json
import string
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functions.auth.people import forget_limits
from tests.functions.payments.people import Buyer, new_key
from tools.local.demo import demo_id
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe

GOOD = {"creator_id": str(demo_id("nobody")), "tokens": 5, "kind": "tip", "package_id": "t7"}
FIELDS = ("creator_id", "tokens", "kind", "note", "package_id", "x")
POSTS = ("charge", "tokens/purchase", "webhooks/stripe")
CODES = {
    *("validation_failed", "malformed_json", "unauthenticated", "creator_not_found", "insufficient_tokens"),
    *("idempotency_key_missing", "idempotency_key_reused", "invalid_cursor", "invalid_signature", "not_found"),
    *("method_not_allowed", "self_charge"),
}
several = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["tip", "t100", "5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
# What a header's value may be made of at all: the server's parser refuses the rest before we see it.
header = st.binary(max_size=30).map(lambda value: bytes(byte for byte in value if byte > 0x1F and byte != 0x7F).strip())


def _assert_problem(answer: httpx.Response, *sent: object) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, sent)
    assert answer.headers["content-type"] == "application/problem+json", sent
    problem = answer.json()
    assert (problem["success"], problem["status"]) == (False, answer.status_code)
    assert problem["code"] in CODES, sent
    assert problem["request_id"] == answer.headers["x-request-id"]


@given(path=st.sampled_from(POSTS), changes=st.dictionaries(st.sampled_from(FIELDS), anything, max_size=4))
@several
async def test_no_body_is_a_5xx(fan: Buyer, rest: RestServer, path: str, changes: dict[str, Any]) -> None:
    await forget_limits(rest)
    answer = await fan.http.post(
        f"/payments/{path}",
        content=json.dumps(GOOD | changes),
        headers={"Content-Type": "application/json", "Idempotency-Key": new_key(), **fan.headers},
    )
    if answer.status_code != 201:  # hypothesis does find t100
        _assert_problem(answer, path, changes)


@given(path=st.sampled_from([*POSTS, "balance", "history"]), key=header, token=header, signature=header)
@several
async def test_no_header_is_a_5xx(
    fan: Buyer, rest: RestServer, path: str, key: bytes, token: bytes, signature: bytes
) -> None:
    await forget_limits(rest)
    headers = [(b"Content-Type", b"application/json"), (b"Idempotency-Key", key), (b"Stripe-Signature", signature)]
    for name, value in ((b"X-Session-Id", token), (b"X-Session-Id", fan.token.encode())):
        method = "POST" if path in POSTS else "GET"
        body = json.dumps(GOOD) if path in POSTS else None
        answer = await fan.http.request(
            method, f"/payments/{path}", content=body, headers=[*headers, (name, value)], params={"limit": "0"}
        )
        if path != "balance" or value is token:
            _assert_problem(answer, path, key, token, signature)


@given(
    segment=st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    query=st.dictionaries(
        st.sampled_from(["limit", "cursor", "x"]),
        st.text(alphabet=string.printable + "é\x00\u202e", max_size=30),
        max_size=3,
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS"]),
)
@several
async def test_no_path_or_query_is_a_5xx(
    fan: Buyer, rest: RestServer, segment: str, query: dict[str, str], method: str
) -> None:
    await forget_limits(rest)
    encoded = str(httpx.QueryParams({"s": segment})).removeprefix("s=").replace("+", "%20")
    for path in (f"purchases/{encoded}", encoded, "history"):
        answer = await fan.http.request(method, f"/payments/{path}", params=query, headers=fan.headers)
        if answer.status_code >= 400 and method != "HEAD":
            _assert_problem(answer, method, path, query)
        assert answer.status_code < 500, (method, path, query)


@given(body=anything, signed=st.booleans())
@several
async def test_no_event_is_a_5xx(fan: Buyer, stripe: FakeStripe, body: Any, signed: bool) -> None:  # noqa: FBT001
    for event in (body, {"id": "evt_1", "type": "charge.refunded", "data": {"object": body}}):
        content = json.dumps(event).encode()
        signature = stripe.sign(content) if signed else stripe.sign(content + b" ")
        answer = await fan.http.post(
            "/payments/webhooks/stripe", content=content, headers={"Stripe-Signature": signature}
        )
        if answer.status_code != 200:
            _assert_problem(answer, body, signed)
        else:
            assert signed


BROKEN = [
    *(b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"tokens": NaN}', b'{"tokens": 1e999}', b"[" * 100_000),
    *(b'{"note": "\\ud800"}', b'{"note":' * 20_000, b"\xef\xbb\xbf{}", b'{"tokens": ' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize("path", ["charge", "tokens/purchase"])
async def test_no_json_is_said_to_be_none(fan: Buyer, rest: RestServer, path: str) -> None:
    for body in BROKEN:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            await forget_limits(rest)
            headers = {"Content-Type": kind, "Idempotency-Key": new_key(), **fan.headers}
            answer = await fan.http.post(f"/payments/{path}", content=body, headers=headers)
            assert answer.status_code in {400, 422}, (kind, body[:20])
            _assert_problem(answer, kind, body[:20])


async def test_body_over_1_mib_is_413_on_every_route(fan: Buyer, stripe: FakeStripe) -> None:
    body = b'{"note": "' + b"x" * 1024 * 1024 + b'"}'
    for path in POSTS:
        headers = {"Content-Type": "application/json", "Idempotency-Key": new_key(), **fan.headers}
        headers["Stripe-Signature"] = stripe.sign(body)
        answer = await fan.http.post(f"/payments/{path}", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert "ratelimit" not in answer.headers


async def test_headers_that_are_sent_twice_are_no_way_around_anything(fan: Buyer, luna: Buyer) -> None:
    body = {"creator_id": luna.user_id, "tokens": 5, "kind": "tip"}
    keys = [("Idempotency-Key", "one"), ("Idempotency-Key", "two"), ("X-Session-Id", fan.token)]
    for _ in range(2):
        answer = await fan.http.post("/payments/charge", json=body, headers=keys)
        assert answer.status_code in {201, 422}
    assert await fan.tokens() in {9_995, 10_000}, "once, or not at all"
    sessions = [("Idempotency-Key", "three"), ("X-Session-Id", fan.token), ("X-Session-Id", "nobody")]
    assert (await fan.http.post("/payments/charge", json=body, headers=sessions)).status_code in {201, 401}
