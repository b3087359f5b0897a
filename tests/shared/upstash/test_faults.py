"""Each way in which Upstash can be out gives its named error inside the deadline, and nothing is applied twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from shared import telemetry
from shared.upstash.breaker import FAILURES_TO_OPEN, OPEN_SECONDS
from shared.upstash.client import Upstash
from shared.upstash.errors import UpstashRefused, UpstashUnavailable
from tests.conftest import Services
from tests.shared.upstash.conftest import DEADLINE_SECONDS
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

BREAKING = [Mode.REFUSE, Mode.HANG, Mode.SLOW, Mode.ERROR_500, Mode.CUT, Mode.LOST]
SLACK_SECONDS = 0.25  # of a busy machine, over a deadline


@pytest.fixture
async def client(server: RestServer) -> AsyncIterator[Upstash]:
    client = Upstash(server.url, "local", deadline_seconds=DEADLINE_SECONDS)
    yield client
    await client.close()


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("mode", BREAKING)
async def test_named_error_inside_the_deadline_and_then_it_works_again(
    client: Upstash, server: RestServer, mode: Mode, *, warm: bool
) -> None:
    if warm:
        await client.ping()
    await server.faults.set(mode)
    started = time.monotonic()
    with pytest.raises(UpstashUnavailable) as out:
        await client.incr("n")
    assert time.monotonic() - started < DEADLINE_SECONDS + SLACK_SECONDS
    assert out.value.maybe_applied or mode is Mode.REFUSE
    await server.faults.set(Mode.OK)
    assert await client.ping() == "PONG"


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.LOST, Mode.ERROR_500, Mode.HANG])
async def test_write_whose_reply_was_lost_is_never_applied_twice(
    client: Upstash, server: RestServer, mode: Mode
) -> None:
    await client.ping()
    await server.faults.set(mode, count=1)
    with pytest.raises(UpstashUnavailable):
        await client.incr("n")
    assert await server.command("GET", "n") == (b"1" if mode in {Mode.CUT, Mode.LOST} else None)


async def test_batch_with_one_write_is_not_repeated(client: Upstash, server: RestServer) -> None:
    await server.faults.set(Mode.LOST, count=1)
    results = await asyncio.gather(client.get("a"), client.incr("n"), return_exceptions=True)
    assert [type(result) for result in results] == [UpstashUnavailable, UpstashUnavailable]
    assert await server.command("GET", "n") == b"1"


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.LOST])
async def test_batch_of_reads_is_repeated_once(client: Upstash, server: RestServer, mode: Mode) -> None:
    await server.command("SET", "a", "x")
    await server.faults.set(mode, count=1)
    assert list(await asyncio.gather(client.get("a"), client.ttl("a"))) == ["x", -1]
    assert server.requests == 2
    await server.faults.set(mode, count=2)
    with pytest.raises(UpstashUnavailable):
        await client.get("a")
    assert server.requests == 4


async def test_repeat_is_inside_the_same_deadline(server: RestServer, client: Upstash) -> None:
    server.faults.latency = DEADLINE_SECONDS * 0.7
    await server.faults.set(Mode.LOST, count=1)
    started = time.monotonic()
    with pytest.raises(UpstashUnavailable):
        await client.get("a")
    assert time.monotonic() - started < DEADLINE_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("token", ["wrong", "x" * 500])
async def test_wrong_token_is_refused_and_no_outage(server: RestServer, token: str) -> None:
    client = Upstash(server.url, token)
    for _ in range(FAILURES_TO_OPEN + 1):
        with pytest.raises(UpstashRefused, match="Upstash answered 401") as refused:
            await client.ping()
        assert token not in str(refused.value)
    assert server.requests == FAILURES_TO_OPEN + 1, "the breaker stays closed"
    await client.close()


async def _open_circuit(client: Upstash, server: RestServer) -> list[float]:
    """Fail until the breaker is open; return the clock that it goes by."""
    clock = [0.0]
    client._breaker._clock = lambda: clock[0]
    await server.faults.set(Mode.ERROR_500)
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(UpstashUnavailable, match="HTTP 500"):
            await client.ping()
    return clock


async def test_breaker_opens_probes_and_closes(client: Upstash, server: RestServer) -> None:
    clock = await _open_circuit(client, server)
    asked = server.requests
    with pytest.raises(UpstashUnavailable, match="circuit is open") as refused:
        await client.ping()
    assert server.requests == asked
    assert not refused.value.maybe_applied

    clock[0] += OPEN_SECONDS
    with pytest.raises(UpstashUnavailable, match="HTTP 500"):
        await client.ping()  # the probe
    with pytest.raises(UpstashUnavailable, match="circuit is open"):
        await client.ping()
    assert server.requests == asked + 1

    await server.faults.set(Mode.OK)
    clock[0] += OPEN_SECONDS
    assert await client.ping() == "PONG"
    assert await client.ping() == "PONG"


async def test_only_one_probe_goes_at_a_time_and_a_cancelled_one_gives_up_its_place(
    client: Upstash, server: RestServer
) -> None:
    clock = await _open_circuit(client, server)
    clock[0] += OPEN_SECONDS
    await server.faults.set(Mode.HANG)
    asked = server.requests
    probe = asyncio.create_task(client.ping())
    while server.requests == asked:  # noqa: ASYNC110 -- the server has no event for it, and needs none
        await asyncio.sleep(0)
    with pytest.raises(UpstashUnavailable, match="circuit is open"):
        await client.ping()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    await server.faults.set(Mode.OK)
    assert await client.ping() == "PONG"


async def test_request_that_saw_it_out_makes_no_further_trip(client: Upstash, server: RestServer) -> None:
    telemetry.begin(telemetry.RequestRecord("id", "GET", "/"))
    await server.faults.set(Mode.ERROR_500, count=1)
    with pytest.raises(UpstashUnavailable, match="HTTP 500"):
        await client.ping()
    with pytest.raises(UpstashUnavailable, match="earlier in this request"):
        await client.ping()
    with pytest.raises(UpstashUnavailable, match="earlier in this request"):
        await client.multi().incr("n").exec()  # type: ignore[attr-defined]  # the SDK's stub forgets it
    assert server.requests == 1
    record = telemetry.current()
    assert record is not None
    assert record.trips == 1


async def test_deadline_counts_from_when_a_command_was_issued(client: Upstash, server: RestServer) -> None:
    """Commands that wait for a trip to be free do not wait longer than any other."""
    await server.faults.set(Mode.HANG)
    started = time.monotonic()

    async def later(number: int) -> None:
        await asyncio.sleep(number * 0.02)
        with pytest.raises(UpstashUnavailable):
            await client.incr("n")

    await asyncio.gather(*(later(number) for number in range(10)))
    assert time.monotonic() - started < 10 * 0.02 + DEADLINE_SECONDS + SLACK_SECONDS


async def test_address_that_answers_nothing_is_given_up_in_time(services: Services) -> None:
    client = Upstash("http://192.0.2.1:9", "local", deadline_seconds=0.8)  # TEST-NET: nobody
    started = time.monotonic()
    with pytest.raises(UpstashUnavailable) as out:
        await client.incr("n")
    assert time.monotonic() - started < 0.3 + SLACK_SECONDS
    assert not out.value.maybe_applied
    await client.close()
