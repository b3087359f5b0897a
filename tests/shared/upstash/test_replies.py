"""Replies as they come: whole, in pieces, or not Upstash's at all."""

from __future__ import annotations

import asyncio

import pytest

from shared.upstash.client import Upstash
from shared.upstash.errors import UpstashUnavailable
from tests.shared.upstash.peer import CLOSE, Peer, reply

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PONG = b'[{"result":"PONG"}]'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(b"<html>"), "not Upstash's JSON"),
        (reply(b""), "not Upstash's JSON"),
        (reply(b"[]"), "does not match"),
        (reply(b'[{"result":1},{"result":2}]'), "does not match"),
        (reply(b'{"result":"PONG"}'), "does not match"),
        (reply(b'["PONG"]'), "neither a result nor an error"),
        (reply(b'[{"error":5}]'), "neither a result nor an error"),
        (reply(PONG, status="429 Too Many Requests"), "HTTP 429"),
        (reply(PONG, status="503 Service Unavailable"), "HTTP 503"),
        (reply(b"", status="302 Found", headers="Location: https://elsewhere.example\r\n"), "HTTP 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 17000000\r\n\r\n" + b"x" * 17_000_000, "not HTTP, or half of it"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP, or half of it"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "not HTTP, or half of it"),
        (CHUNKED + b"zz\r\n", "not HTTP, or half of it"),
    ],
)
async def test_reply_that_is_not_upstashs_is_an_outage(answer: bytes, said: str) -> None:
    async with Peer([answer] * 2) as peer:
        client = Upstash(peer.url, "local")
        with pytest.raises(UpstashUnavailable, match=said):
            await client.incr("n")
        assert len(peer.requests) == 1
        await client.close()


@pytest.mark.parametrize(
    "parts",
    [
        [reply(PONG)],
        [bytes([byte]) for byte in reply(PONG)],
        [CHUNKED, b"5\r\n" + PONG[:5] + b"\r\n", b"e\r\n" + PONG[5:], b"\r\n0\r\n\r\n"],
        [CHUNKED + b"13\r\n" + PONG + b"\r\n0\r\nTrailer: x\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", PONG, CLOSE],
        [b"HTTP/1.1 100 Continue\r\n\r\n", reply(PONG)],
        [reply(PONG, headers="Upstash-Sync-Token: abc\r\nX-Other: y\r\n")],
    ],
    ids=["whole", "byte by byte", "chunked", "chunked with a trailer", "until it closes", "after 100", "headers"],
)
async def test_reply_is_read_however_it_is_cut(parts: list[bytes]) -> None:
    async with Peer([parts]) as peer:
        client = Upstash(peer.url, "local")
        assert await client.ping() == "PONG"
        await client.close()


async def test_connection_that_says_close_is_not_used_again() -> None:
    async with Peer([reply(PONG, headers="Connection: close\r\n"), reply(PONG)], close_after=1) as peer:
        client = Upstash(peer.url, "local")
        assert [await client.ping(), await client.ping()] == ["PONG", "PONG"]
        assert peer.connections == 2
        await client.close()


async def test_words_that_nobody_asked_for_end_the_connection() -> None:
    async with Peer([[reply(PONG), reply(b'[{"result":"forged"}]')], reply(PONG)]) as peer:
        client = Upstash(peer.url, "local")
        assert await client.ping() == "PONG"
        await asyncio.sleep(0.02)  # the forged words arrive
        assert await client.ping() == "PONG"
        await client.close()


async def test_request_is_what_upstash_expects() -> None:
    async with Peer([reply(PONG)]) as peer:
        client = Upstash(f"{peer.url}/base", "secret")
        await client.execute(["SET", "k", "ü", "EX", 5])
        head, _, body = peer.requests[0].partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /base/pipeline HTTP/1.1"
        assert b"Authorization: Bearer secret" in lines
        assert body == '[["SET","k","ü","EX",5]]'.encode()
        await client.close()
