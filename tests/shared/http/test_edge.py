"""The edge: what is true of every answer, on a test application with one route per way to answer."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from shared.http.codes import Code
from shared.http.problems import Problem
from tests.shared.http.tried import SECRET

MIB = 1024 * 1024


def _assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body = answer.json()
    assert body["type"] == f"urn:digis:problem:{code}"
    assert (body["status"], body["code"], body["success"]) == (status, code, False)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["instance"] == answer.request.url.path
    assert body["title"]
    assert body["detail"]
    assert answer.headers["cache-control"] == "no-store"


# request ids


@pytest.mark.parametrize("brought", ["abc", "A-z_0.9", "x" * 64])
async def test_safe_request_id_is_kept(http: httpx.AsyncClient, brought: str) -> None:
    answer = await http.get("/tried/fine", headers={"X-Request-Id": brought})
    assert answer.headers.get_list("x-request-id") == [brought]


@pytest.mark.parametrize("brought", ["", "x" * 65, "a b", "a\tb", "ä", "<script>", "a/b"])
async def test_unsafe_request_id_is_replaced(http: httpx.AsyncClient, brought: str) -> None:
    answer = await http.get("/tried/fine", headers={b"X-Request-Id": brought.encode()})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


# problems


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/tried/problem", 404, "creator_not_found"),
        ("GET", "/tried/nowhere", 404, "not_found"),
        ("GET", "/tried/fine/", 404, "not_found"),
        ("DELETE", "/tried/fine", 405, "method_not_allowed"),
        ("OPTIONS", "/tried/fine", 405, "method_not_allowed"),
        ("TRACE", "/tried/fine", 405, "method_not_allowed"),
        ("GET", "/tried/crash", 500, "internal"),
    ],
)
async def test_every_failure_is_a_problem(
    http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    _assert_problem(await http.request(method, path), status, code)


async def test_problem_brings_its_headers(http: httpx.AsyncClient) -> None:
    assert (await http.get("/tried/problem")).headers["retry-after"] == "7"
    assert (await http.delete("/tried/note")).headers["allow"] == "POST"
    assert (await http.post("/tried/fine")).headers["allow"] == "GET, HEAD"


async def test_every_code_has_one_status() -> None:
    def kinds(root: type[Problem]) -> Iterator[type[Problem]]:
        for kind in root.__subclasses__():
            yield kind
            yield from kinds(kind)

    statuses: dict[Code, set[int]] = {}
    for kind in kinds(Problem):
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert all(len(found) == 1 for found in statuses.values())


@pytest.mark.parametrize("body", [b"", b"{", b'{"text": "a"', b"\xff\xfe", b"[" * 5000])
async def test_malformed_json_is_400(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/tried/note", content=body, headers={"Content-Type": "application/json"})
    if body:
        _assert_problem(answer, 400, "malformed_json")
    else:
        _assert_problem(answer, 422, "validation_failed")  # nothing is not malformed: it is missing


async def test_wrong_fields_are_named(http: httpx.AsyncClient) -> None:
    answer = await http.post("/tried/note", json={"stars": "5"})
    _assert_problem(answer, 422, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == ["body.text", "body.stars"]
    assert all(error["message"] for error in answer.json()["errors"])
    assert "input" not in answer.text


async def test_errors_of_a_hostile_body_are_bounded(http: httpx.AsyncClient) -> None:
    answer = await http.post("/tried/note", json=[{"x": 1}] * 1000)
    assert answer.status_code == 422
    assert len(answer.content) < 5000


# bodies


async def test_body_over_the_bound_is_413_whether_its_length_is_declared_or_not(http: httpx.AsyncClient) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(size // 65536):
            yield b"x" * 65536
        yield b'"}'

    declared = await http.post("/tried/note", content=b'{"text": "' + b"x" * MIB + b'"}')
    _assert_problem(declared, 413, "body_too_large")
    streamed = await http.post("/tried/note", content=chunks(2 * MIB), headers={"Content-Type": "application/json"})
    _assert_problem(streamed, 413, "body_too_large")
    fine = await http.post("/tried/note", content=chunks(MIB // 2), headers={"Content-Type": "application/json"})
    assert fine.json() == {"length": MIB // 2}


async def test_body_at_the_bound_is_taken(http: httpx.AsyncClient) -> None:
    text = "x" * (MIB - len('{"text":""}'))
    answer = await http.post("/tried/note", content=json.dumps({"text": text}, separators=(",", ":")))
    assert answer.status_code == 422 or answer.json() == {"length": len(text)}
    assert (await http.post("/tried/note", json={"text": text[:-9]})).status_code == 200


# HEAD


@pytest.mark.parametrize("path", ["/tried/fine", "/tried/kept", "/tried/problem", "/tried/crash", "/tried/nowhere"])
async def test_head_is_the_get_without_its_body(http: httpx.AsyncClient, path: str) -> None:
    got, head = await http.get(path), await http.head(path)
    varying = {"x-request-id", "server-timing"}
    assert head.status_code == got.status_code
    assert head.content == b""
    assert {n: v for n, v in head.headers.items() if n not in varying} == {
        n: v for n, v in got.headers.items() if n not in varying
    }


# what every answer has


async def test_nothing_is_stored_unless_a_route_says_so(http: httpx.AsyncClient) -> None:
    assert (await http.get("/tried/fine")).headers.get_list("cache-control") == ["no-store"]
    assert (await http.get("/tried/kept")).headers.get_list("cache-control") == ["public, max-age=60"]
    assert (await http.get("/tried/fine")).headers["x-content-type-options"] == "nosniff"


async def test_crash_says_nothing_of_its_message(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = await http.get("/tried/crash?token=in-the-query", headers={"Authorization": "Bearer in-the-header"})
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert "unhandled RuntimeError" in log
    assert "in crash" in log
    assert "GET /tried/crash 500" in log
    for secret in (SECRET, "in-the-query", "in-the-header"):
        assert secret not in log + answer.text


async def test_answer_that_breaks_half_way_is_not_passed_off_as_whole(http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get("/tried/half")
    assert (await http.get("/tried/fine")).status_code == 200


async def test_path_cannot_forge_a_log_line(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    await http.get("/tried/x%0aGET%20/forged%20200%1b[31m" + "y" * 500)
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert "\nGET /forged" not in log
    assert "\x1b" not in log
    assert max(map(len, log.splitlines())) < 400
