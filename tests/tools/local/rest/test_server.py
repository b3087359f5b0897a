"""The REST server speaks as Upstash does: bodies, paths, encodings, refusals, counters."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import Services
from tools.local.redis import LocalRedis
from tools.local.rest.server import RestServer

WRITE = {"Authorization": "Bearer local"}
READ = {"Authorization": "Bearer reader"}


@pytest.fixture
async def http(services: Services, rest: RestServer) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        RestServer(services.redis.socket, read_only_token="reader") as server,
        httpx.AsyncClient(base_url=server.url, headers=WRITE) as client,
    ):
        yield client


async def _post(http: httpx.AsyncClient, path: str, body: Any, **headers: str) -> Any:
    return (await http.post(path, json=body, headers=headers)).json()


async def test_command_array(http: httpx.AsyncClient) -> None:
    assert await _post(http, "/", ["SET", "k", "v", "EX", 10]) == {"result": "OK"}
    assert await _post(http, "/", ["GET", "k"]) == {"result": "v"}
    assert await _post(http, "/", ["GET", "none"]) == {"result": None}
    assert await _post(http, "/", ["INCRBY", "n", 2]) == {"result": 2}
    assert await _post(http, "/", ["SET", "f", 1.5]) == {"result": "OK"}
    assert await _post(http, "/", ["MGET", "f", "n", "none"]) == {"result": ["1.5", "2", None]}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_command_in_the_path(http: httpx.AsyncClient, method: str) -> None:
    assert (await http.request(method, "/set/k%2F1/a%20b")).json() == {"result": "OK"}
    assert (await http.request(method, "/get/k%2F1")).json() == {"result": "a b"}


async def test_body_is_appended_to_the_path_before_the_query(http: httpx.AsyncClient) -> None:
    answer = await http.post("/SET/k?EX=100&NX", content=b'{"any":"bytes \xc3\xa9"}')

    assert answer.json() == {"result": "OK"}
    assert (await http.get("/GET/k")).json() == {"result": '{"any":"bytes é"}'}
    assert 90 < (await http.get("/TTL/k")).json()["result"] <= 100


async def test_head_has_no_body(http: httpx.AsyncClient) -> None:
    answer = await http.head("/get/k")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_pipeline_answers_each_command_in_order_errors_among_them(http: httpx.AsyncClient) -> None:
    commands = [["SET", "k", "v"], ["INCR", "k"], ["NOSUCH"], ["GET", "k"]]

    answer = await http.post("/pipeline", json=commands)

    assert answer.status_code == 200
    first, wrong, unknown, last = answer.json()
    assert (first, last) == ({"result": "OK"}, {"result": "v"})
    assert wrong == {"error": "ERR value is not an integer or out of range"}
    assert unknown["error"].startswith("ERR unknown command 'NOSUCH'")


async def test_transaction_is_all_or_nothing(http: httpx.AsyncClient) -> None:
    assert await _post(http, "/multi-exec", [["SET", "k", 1], ["INCR", "k"]]) == [{"result": "OK"}, {"result": 2}]

    discarded = await http.post("/multi-exec", json=[["SET", "k", 9], ["NOSUCH"]])

    assert discarded.status_code == 400
    assert discarded.json()["error"].startswith("EXECABORT")
    assert await _post(http, "/", ["GET", "k"]) == {"result": "2"}


async def test_transaction_reports_the_errors_of_single_commands(http: httpx.AsyncClient) -> None:
    result = await _post(http, "/multi-exec", [["SET", "k", "text"], ["INCR", "k"]])
    assert result == [{"result": "OK"}, {"error": "ERR value is not an integer or out of range"}]


async def test_base64_encodes_every_string_but_ok(http: httpx.AsyncClient) -> None:
    def encoded(text: bytes) -> str:
        return base64.b64encode(text).decode()

    headers = {"Upstash-Encoding": "base64"}
    assert await _post(http, "/", ["SET", "k", "v"], **headers) == {"result": "OK"}
    assert await _post(http, "/", ["GET", "k"], **headers) == {"result": encoded(b"v")}
    assert await _post(http, "/", ["PING"], **headers) == {"result": encoded(b"PONG")}
    nested = await _post(http, "/pipeline", [["HSET", "h", "f", "v"], ["HGETALL", "h"], ["GET", "none"]], **headers)
    assert nested == [{"result": 1}, {"result": [encoded(b"f"), encoded(b"v")]}, {"result": None}]


async def test_bytes_that_are_no_text_survive_in_base64(http: httpx.AsyncClient) -> None:
    await http.post("/set/k", content=b"\xff\x00\xfe")
    answer = await _post(http, "/", ["GET", "k"], **{"Upstash-Encoding": "base64"})
    assert base64.b64decode(answer["result"]) == b"\xff\x00\xfe"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["PING"], b"+PONG\r\n"),
        (["GET", "none"], b"$-1\r\n"),
        (["ECHO", "abc"], b"$3\r\nabc\r\n"),
        (["INCR", "n"], b":1\r\n"),
        (["MGET", "none", "no"], b"*2\r\n$-1\r\n$-1\r\n"),
        (["INCR"], b"-ERR wrong number of arguments for 'incr' command\r\n"),
    ],
)
async def test_resp2_when_asked_for(http: httpx.AsyncClient, command: list[str], expected: bytes) -> None:
    answer = await http.post("/", json=command, headers={"Upstash-Response-Format": "resp2"})
    assert answer.content == expected


async def test_sync_token_comes_with_each_answer_and_is_taken_back(http: httpx.AsyncClient) -> None:
    token = (await http.post("/", json=["SET", "k", "v"])).headers["upstash-sync-token"]
    answer = await http.post("/", json=["GET", "k"], headers={"Upstash-Sync-Token": token})
    assert answer.json() == {"result": "v"}
    assert answer.headers["upstash-sync-token"] != token


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic local"}])
async def test_wrong_token_is_401(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=http.base_url) as stranger:
        answer = await stranger.post("/", json=["PING"], headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})


async def test_token_may_come_in_the_query(http: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=http.base_url) as stranger:
        assert (await stranger.get("/echo/hi?_token=local")).json() == {"result": "hi"}
        assert (await stranger.get("/echo/hi?_token=nope")).status_code == 401


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS"])
async def test_other_method_is_405(http: httpx.AsyncClient, method: str) -> None:
    assert (await http.request(method, "/get/k")).status_code == 405


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("/", body) for body in (b"", b"{", b"[]", b'"GET"', b"[null]", b'[["GET","k"]]', b"[" * 5000, b"\xff")),
        *(("/pipeline", body) for body in (b"[]", b"{}", b'["GET"]', b"[[]]")),
        ("/multi-exec", b"not json"),
    ],
)
async def test_malformed_body_is_400(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    answer = await http.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("ERR")


async def test_redis_error_keeps_its_prefix_and_is_400(http: httpx.AsyncClient) -> None:
    await _post(http, "/", ["LPUSH", "list", "x"])
    answer = await http.post("/", json=["GET", "list"])
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("WRONGTYPE ")


@pytest.mark.parametrize("command", ["BLPOP", "subscribe", "CONFIG", "SELECT", "MULTI", "WATCH", "SHUTDOWN", "CLIENT"])
async def test_what_rest_cannot_do_is_refused_in_upstash_words(http: httpx.AsyncClient, command: str) -> None:
    expected = f"ERR Command is not available: '{command.upper()}'. See https://upstash.com/docs/redis/"
    assert (await _post(http, "/", [command, "x", "0"]))["error"].startswith(expected)
    (item, other) = await _post(http, "/pipeline", [[command], ["PING"]])
    assert item["error"].startswith(expected)
    assert other == {"result": "PONG"}


async def test_read_only_token_reads_and_does_not_write(http: httpx.AsyncClient) -> None:
    await _post(http, "/", ["SET", "k", "v"])
    http.headers.update(READ)

    assert await _post(http, "/", ["GET", "k"]) == {"result": "v"}
    assert await _post(http, "/", ["EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "k"]) == {"result": "v"}
    for command in (["SET", "k", "w"], ["DEL", "k"], ["EVAL", "return 1", 0], ["EVALSHA", "a" * 40, 0], ["FLUSHALL"]):
        name = str(command[0]).lower()
        refusal = {"error": f"NOPERM this user has no permissions to run the '{name}' command or its subcommand"}
        assert await _post(http, "/", command) == refusal
        assert await _post(http, "/pipeline", [command]) == [refusal]
        assert await _post(http, "/multi-exec", [["GET", "k"], command]) == refusal
    assert await _post(http, "/", ["GET", "k"]) == {"result": "v"}


async def test_request_over_10_mb_is_refused_and_the_next_one_served(http: httpx.AsyncClient) -> None:
    answer = await http.post("/set/k", content=b"x" * (10 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert await _post(http, "/", ["EXISTS", "k"]) == {"result": 0}


async def test_concurrent_pipelines_keep_their_own_replies(http: httpx.AsyncClient) -> None:
    async def one(number: int) -> bool:
        commands = [["ECHO", f"{number}-{part}"] for part in range(number % 7 + 1)]
        answer = await _post(http, "/pipeline", commands)
        return bool(answer == [{"result": command[1]} for command in commands])

    assert all(await asyncio.gather(*(one(number) for number in range(200))))


async def test_counts_requests_and_executed_commands_those_in_scripts_too(
    http: httpx.AsyncClient, rest: RestServer
) -> None:
    await rest.reset_counters()
    async with httpx.AsyncClient(base_url=rest.url, headers=WRITE) as client:
        await client.post("/", json=["EVAL", "redis.call('SET', KEYS[1], 1) return redis.call('GET', KEYS[1])", 1, "k"])
        await client.post("/pipeline", json=[["GET", "k"], ["TIME"]])

    assert (rest.requests, rest.connections, await rest.executed()) == (2, 1, 5)


async def test_redis_that_ended_is_an_error_answer_not_a_hang(services: Services, tmp_path: Any) -> None:
    redis = LocalRedis.launch(tmp_path)
    await redis.ready()
    async with RestServer(redis.socket) as server, httpx.AsyncClient(base_url=server.url, headers=WRITE) as client:
        assert (await client.post("/", json=["PING"])).status_code == 200
        redis.stop()
        assert (await client.post("/", json=["PING"])).status_code == 502


async def test_speaks_tls(services: Services, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with (
        RestServer(services.redis.socket, ssl_context=server_tls) as server,
        httpx.AsyncClient(base_url=server.url, verify=client_tls, headers=WRITE) as client,
    ):
        assert server.url.startswith("https://")
        assert json.loads((await client.post("/", json=["PING"])).content) == {"result": "PONG"}
