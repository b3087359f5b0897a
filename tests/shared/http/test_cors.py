"""CORS: our own origins may read every answer, others none."""

from __future__ import annotations

import httpx
import pytest

from tests.shared.http.conftest import ORIGIN


@pytest.mark.parametrize("path", ["/tried/fine", "/tried/problem", "/tried/crash", "/tried/nowhere"])
async def test_our_origins_may_read_every_answer(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "Origin"
    assert {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")} == {
        *("X-Request-Id", "RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining"),
        *("X-RateLimit-Reset", "X-RateLimit-Mode", "Retry-After", "ETag", "X-Cache", "Idempotency-Replayed"),
    }
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://app.example.evil.example", "null", f"{ORIGIN}/", ""]
)
async def test_other_origins_may_read_nothing(http: httpx.AsyncClient, origin: str) -> None:
    answer = await http.get("/tried/fine", headers={"Origin": origin})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["vary"] == "Origin"


async def test_preflight_is_answered_without_the_route(http: httpx.AsyncClient) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x-y"}
    answer = await http.options("/tried/crash", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-max-age"] == "7200"
    assert answer.headers.get_list("access-control-allow-origin") == [ORIGIN]
    assert len({name for name, _ in answer.headers.multi_items()}) == len(answer.headers.multi_items()), "none twice"
    assert {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")} == {
        *("Content-Type", "Authorization", "X-Session-Id", "X-Request-Id", "Idempotency-Key", "If-None-Match"),
    }
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    refused = await http.options("/tried/crash", headers=asked | {"Origin": "https://evil.example"})
    assert not [name for name in refused.headers if name.startswith("access-control")]
