"""The client on a real server: what is issued together leaves together, and each caller gets its own answer."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest

from shared.upstash import batch, transport
from shared.upstash.client import Upstash
from shared.upstash.errors import CommandFailed, UpstashUnavailable
from shared.upstash.scripts import Script
from tests.conftest import Services
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer


async def test_commands_of_one_turn_ride_in_one_trip(client: Upstash, server: RestServer) -> None:
    results = await asyncio.gather(client.set("a", 1), client.get("a"), client.incr("n"), client.run(["GET", "n"]))
    assert results == [True, "1", 1, ["1"]]
    assert (server.requests, server.connections) == (1, 1)


async def test_one_bad_command_fails_alone(client: Upstash, server: RestServer) -> None:
    results: list[Any] = list(
        await asyncio.gather(client.set("text", "x"), client.incr("text"), client.get("text"), return_exceptions=True)
    )
    assert results[::2] == [True, "x"]
    assert isinstance(results[1], CommandFailed)
    assert (results[1].command, "not an integer" in results[1].message) == ("INCR", True)
    assert server.requests == 1


async def test_argument_that_is_no_text_fails_alone(client: Upstash) -> None:
    results: list[Any] = list(await asyncio.gather(client.get("\ud800"), client.set("a", 1), return_exceptions=True))
    assert isinstance(results[0], CommandFailed)
    assert "\ud800" not in str(results[0])
    assert results[1] is True


async def test_run_gives_each_result_or_its_failure_in_order(client: Upstash) -> None:
    one, two, three = await client.run(["SET", "k", "v"], ["LPUSH", "k", "x"], ["GET", "k"])
    assert (one, three) == ("OK", "v")
    assert isinstance(two, CommandFailed)


async def test_200_concurrent_requests_share_trips(client: Upstash, server: RestServer) -> None:
    results = await asyncio.gather(*(client.incr("n") for _ in range(200)))
    assert sorted(results) == list(range(1, 201))
    assert server.requests == 1

    async def request(number: int) -> Any:
        await asyncio.sleep(number % 7 / 1000)  # not all in one turn
        await client.get("n")
        return await client.incr("n")

    await server.reset_counters()
    await asyncio.gather(*(request(number) for number in range(200)))
    assert server.requests < 60
    assert server.connections <= batch.TRIPS_IN_FLIGHT


async def test_trip_takes_a_bounded_number_of_commands(client: Upstash, server: RestServer) -> None:
    await asyncio.gather(*(client.incr("n") for _ in range(3 * batch.COMMANDS_PER_TRIP)))
    assert server.requests == 3


async def test_cancelling_one_waiter_leaves_the_others(client: Upstash, server: RestServer) -> None:
    server.faults.latency = 0.05
    tasks = [asyncio.create_task(client.incr("n")) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert (results[0], results[2]) == (1, 3)
    assert isinstance(results[1], asyncio.CancelledError)
    assert server.requests == 1


async def test_trip_that_nobody_waits_for_ends(client: Upstash, server: RestServer) -> None:
    await client.ping()
    await server.faults.set(Mode.HANG)
    tasks = [asyncio.create_task(client.incr("n")) for _ in range(3)]
    while server.requests < 2:  # noqa: ASYNC110 -- the server has no event for it, and needs none
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if "_carry" in repr(task)]
    await server.faults.set(Mode.OK)
    assert await client.get("n") is None


async def test_unknown_script_costs_one_more_trip_once(client: Upstash, server: RestServer) -> None:
    script = Script("return {KEYS[1], ARGV[1]}")
    other = Script("return 'other'")
    try:
        assert await client.run(script(["k"], "a"), ["SET", "n", 1]) == [["k", "a"], "OK"]
        assert server.requests == 2
        assert await client.run(script(["k"], "b")) == [["k", "b"]]
        assert await client.run(other([])) == ["other"], "it rode along with the first"
        assert server.requests == 4
    finally:
        for one in (script, other):
            del Script.known[one.sha]


async def test_script_that_fails_is_its_own_failure(client: Upstash, server: RestServer) -> None:
    script = Script("return redis.call('INCR', KEYS[1])")
    try:
        await client.set("k", "text")
        (failed,) = await client.run(script(["k"]))
        assert isinstance(failed, CommandFailed)
        assert not failed.script_is_unknown
    finally:
        del Script.known[script.sha]


async def test_pipeline_and_transaction_of_the_sdk(client: Upstash, server: RestServer) -> None:
    pipeline = client.pipeline()
    pipeline.set("a", {"x": 1})  # type: ignore[arg-type]  # dumped as JSON, whatever the stub says
    pipeline.get("a")
    pipeline.incr("n")
    assert await pipeline.exec() == [True, '{"x": 1}', 1]
    transaction = client.multi()
    transaction.incr("n")
    transaction.incr("n")
    assert await transaction.exec() == [2, 3]
    assert server.requests == 2
    assert await client.pipeline().exec() == []
    broken = client.pipeline()
    broken.incr("a")
    broken.incr("n")
    with pytest.raises(CommandFailed):
        await broken.exec()
    assert await client.get("n") == "4"


async def test_values_come_back_as_the_stock_client_gives_them(client: Upstash) -> None:
    await client.hset("h", values={"a": "1", "b": "ü"})
    await client.zadd("z", {"one": 1, "two": 2.5})
    assert await client.hgetall("h") == {"a": "1", "b": "ü"}
    assert await client.zrange("z", 0, -1, withscores=True) == [("one", 1.0), ("two", 2.5)]
    assert await client.exists("h", "z", "none") == 2
    assert await client.mget("none", "h2") == [None, None]
    assert await client.expire("h", 10) is True


async def test_large_values_come_back_whole(client: Upstash) -> None:
    text = "é" * 500_000
    await client.set("large", text)
    assert await client.get("large") == text


async def test_idle_connection_closed_by_the_server_costs_no_error(client: Upstash, server: RestServer) -> None:
    await client.ping()
    await server.faults.set(Mode.REFUSE)  # closes it
    await server.faults.set(Mode.OK)
    await asyncio.sleep(0)
    assert await client.incr("n") == 1


async def test_kept_connection_is_used_again(client: Upstash, server: RestServer) -> None:
    for _ in range(20):
        await client.ping()
    assert (server.requests, server.connections) == (20, 1)


async def test_sync_token_is_sent_back_so_that_reads_see_writes(client: Upstash, server: RestServer) -> None:
    await client.set("a", 1)
    assert client._transport._sync_token
    first = client._transport._sync_token
    await client.get("a")
    assert client._transport._sync_token != first


@contextmanager
def _server_of_another_thread(services: Services, context: ssl.SSLContext | None) -> Iterator[RestServer]:
    """A server that outlives the test's event loops."""
    started: Future[tuple[RestServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        async with RestServer(services.redis.socket, ssl_context=context) as server:
            await server.command("FLUSHALL")
            stop = asyncio.Event()
            started.set_result((server, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    server, loop, stop = started.result(timeout=10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


# asyncio.run closes no connection of the loop that it ends: what is left of it is let go, with a warning of asyncio's.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("secure", [False, True], ids=["http", "tls"])
def test_three_event_loops_in_a_row(
    services: Services,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    fresh_process: pytest.MonkeyPatch,
    *,
    secure: bool,
) -> None:
    """Mangum, tests, a SnapStart restore: the loop is another one, and nothing stalls or breaks."""
    fresh_process.setattr(transport, "_tls_context", lambda: client_tls)
    with _server_of_another_thread(services, server_tls if secure else None) as server:
        client = Upstash(server.url, "local")

        async def use() -> list[Any]:
            return list(await asyncio.wait_for(asyncio.gather(client.ping(), client.incr("loops")), 0.5))

        assert [asyncio.run(use()) for _ in range(3)] == [["PONG", 1], ["PONG", 2], ["PONG", 3]]
        assert (server.requests, server.connections) == (3, 3)
        asyncio.run(client.close())
        gc.collect()


async def test_certificate_that_is_not_trusted_is_refused(
    services: Services, server_tls: ssl.SSLContext, fresh_process: pytest.MonkeyPatch
) -> None:
    async with RestServer(services.redis.socket, ssl_context=server_tls) as server:
        client = Upstash(server.url, "local")
        with pytest.raises(UpstashUnavailable, match="SSLCertVerificationError") as refused:
            await client.ping()
        assert not refused.value.maybe_applied
        assert server.requests == 0
        await client.close()
