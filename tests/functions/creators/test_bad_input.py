"""Whatever is sent to the creators' routes is answered with a 4xx problem, and never a 5xx."""

from __future__ import annotations

import asyncio
import json
import string

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATHS = [
    "/creators/ab",
    "/creators/" + "a" * 31,
    "/creators/Luna",
    "/creators/lu%00na",
    "/creators/lu%0ana",
    "/creators/%ff%fe",
    "/creators/%E2%80%AEluna",
    "/creators/luna%2Fmika",
    "/creators/luna/",
    "/creators/luna/follower",
    "/creators//luna",
    "/creators/..%2f..%2fetc%2fpasswd",
    "/creators/",
    "/creators/" + "a" * 9000,
    "/creator",
    "//",
    "/%",
]

QUERIES = [
    *("limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=many", "limit=", "limit=" + "9" * 5000, "limit=1e2"),
    *("sort=", "sort=oldest", "sort=Followers", "category=", "category=%00", "category=%ff", "category=a b"),
    *("category=" + "a" * 41, "cursor=" + "a" * 201, "cursor=", "limit=%00", "sort=newest%00"),
]


def assert_problem(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.status_code
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["success"] is False
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:digis:problem:{problem['code']}"
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", PATHS)
async def test_path_that_is_nobodys_is_a_4xx_problem(digis: httpx.AsyncClient, path: str) -> None:
    answer = await digis.get(path)

    assert_problem(answer)
    assert 'queries;desc="0"' in answer.headers["server-timing"]


@pytest.mark.parametrize("query", QUERIES)
async def test_query_that_is_wrong_is_a_4xx_problem_without_a_query(digis: httpx.AsyncClient, query: str) -> None:
    answer = await digis.get(f"/creators?{query}")

    assert_problem(answer)
    assert 'queries;desc="0"' in answer.headers["server-timing"]


async def test_wrong_query_says_which_field_and_is_charged(digis: httpx.AsyncClient) -> None:
    answer = await digis.get("/creators?limit=0&sort=oldest")

    assert answer.json()["code"] == "validation_failed"
    assert {error["field"] for error in answer.json()["errors"]} == {"query.limit", "query.sort"}
    assert answer.headers["x-ratelimit-remaining"] == "999"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"])
@pytest.mark.parametrize("path", ["/creators", "/creators/luna"])
async def test_other_method_is_405_and_says_which_there_are(digis: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await digis.request(method, path)

    assert_problem(answer)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_body_over_1_mib_is_413(digis: httpx.AsyncClient) -> None:
    answer = await digis.request("GET", "/creators/luna", content=b"x" * (1024 * 1024 + 1))

    assert_problem(answer)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": "\xe9" * 10},
        {"If-None-Match": '"' * 5000},
        {"X-Request-Id": "a" * 65},
        {"X-Request-Id": "a b"},
        {"X-Request-Id": "<script>"},
        {"Accept": "image/png"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Content-Type": "application/json"},
        {"Range": "bytes=0-1"},
        {"Expect": "something"},
        {"X-Forwarded-For": "'; DROP TABLE users; --"},
        {"Authorization": "Bearer " + "x" * 8000},
        {"Cookie": "a=" + "b" * 8000},
    ],
)
async def test_odd_header_changes_nothing(digis: httpx.AsyncClient, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    answer = await digis.get("/creators/luna", headers=encoded)

    assert answer.status_code == 200
    assert answer.headers["x-request-id"] not in headers.values()
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /creators/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /creators/luna HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"NOT HTTP AT ALL\r\n\r\n",
        b"GET /creators/luna HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET creators HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /creators/luna HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST /creators HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_bytes_that_are_no_request_are_a_400_problem(digis: httpx.AsyncClient, request_bytes: bytes) -> None:
    reader, writer = await asyncio.open_connection(digis.base_url.host, digis.base_url.port)
    writer.write(request_bytes)
    head, _, body = (await asyncio.wait_for(reader.read(65536), 5)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()

    status = int(head.split()[1])
    assert 400 <= status < 500, head
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status


@given(
    segment=st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    query=st.dictionaries(
        st.sampled_from(["limit", "sort", "cursor", "category", "x"]),
        st.text(alphabet=string.printable + "é\x00\u202e", max_size=30),
        max_size=4,
    ),
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_nothing_sent_is_a_5xx(
    digis: httpx.AsyncClient, segment: str, query: dict[str, str], method: str
) -> None:
    for url in (f"/creators/{httpx.QueryParams({'s': segment})}"[:-1].replace("s=", "", 1), "/creators"):
        answer = await digis.request(method, url, params=query)
        assert answer.status_code < 500, (method, url, query)
        if answer.status_code >= 400 and method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
