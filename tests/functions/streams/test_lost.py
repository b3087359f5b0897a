"""Redis emptied in the middle of a stream: what it knew comes back, and Postgres keeps what it had heard."""

from __future__ import annotations

import asyncio

from functions.streams import service
from shared import telemetry
from tests.functions.auth.people import forget_limits
from tests.functions.streams.people import UNKNOWN, Person, code_of, end_vanished, pass_time, row_of
from tools.local.rest.server import RestServer


async def _watched(luna: Person, nobody: Person, viewers: str) -> str:
    """A stream that so many watch, of whom a heartbeat has told."""
    stream_id = await luna.go_live()
    for viewer in viewers:
        await nobody.watch(stream_id, viewer)
    await luna.beat(stream_id)
    return stream_id


async def test_next_heartbeat_brings_a_stream_back(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await _watched(luna, nobody, "abc")
    await rest.command("FLUSHALL")
    assert await nobody.live() == []
    shown = await nobody.show(stream_id)
    assert (shown["status"], shown["viewers"]) == ("live", 3), "as of its last heartbeat"
    assert (await luna.beat(stream_id)).status_code == 204
    (shown,) = await nobody.live()
    assert (shown["id"], shown["viewers"]) == (stream_id, 0)
    assert await nobody.count(stream_id, "d") == 1
    assert (await row_of(stream_id))["peak_viewers"] == 3
    await luna.beat(stream_id)
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 3


async def test_viewers_heartbeat_brings_it_back_too(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await _watched(luna, nobody, "ab")
    await rest.command("FLUSHALL")
    counts = await asyncio.gather(*(nobody.count(stream_id, viewer) for viewer in "abcdefgh"))
    assert sorted(counts) == list(range(1, 9))
    assert (await nobody.live())[0]["viewers"] == 8
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 8


async def test_it_ends_as_ever(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await _watched(luna, nobody, "abc")
    await rest.command("FLUSHALL")
    stream = (await luna.end(stream_id)).json()["stream"]
    assert (stream["status"], stream["peak_viewers"]) == ("ended", 3)
    assert await nobody.live() == []
    assert code_of(await nobody.watch(stream_id, "a")) == (404, "stream_not_found")
    assert code_of(await luna.beat(stream_id)) == (404, "stream_not_found")


async def test_scripts_forgotten_cost_a_trip_and_nothing_else(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await _watched(luna, nobody, "abc")
    for _ in range(2):
        await rest.command("SCRIPT", "FLUSH")
        assert await nobody.count(stream_id, "a") == 3
        await rest.command("SCRIPT", "FLUSH")
        assert (await nobody.show(stream_id))["viewers"] == 3
        await rest.command("SCRIPT", "FLUSH")
        assert (await luna.beat(stream_id)).status_code == 204
        await rest.command("SCRIPT", "FLUSH")
        assert len(await nobody.live()) == 1
    await rest.command("SCRIPT", "FLUSH")
    await rest.command("FLUSHALL")
    assert await nobody.count(stream_id, "a") == 1
    await rest.command("SCRIPT", "FLUSH")
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 3
    assert await nobody.live() == []


async def test_stream_that_redis_did_not_hear_of_for_90_seconds_keeps_those_who_watch(
    luna: Person, nobody: Person, rest: RestServer
) -> None:
    """Upstash was out: its heartbeats are in Postgres alone. Whoever watched then watches still, and is counted."""
    stream_id = await _watched(luna, nobody, "a")
    await pass_time(rest, 25)
    for viewer in "abc":
        await nobody.watch(stream_id, viewer)
    for _ in range(2):
        await pass_time(rest, 33)
        await _beat_in_postgres_alone(luna, stream_id)
    await forget_limits(rest)

    assert await nobody.live() == []  # whoever reads this finds it dead
    assert (await nobody.show(stream_id))["status"] == "live"
    assert await nobody.count(stream_id, "a") == 3
    assert (await nobody.live())[0]["viewers"] == 3
    assert await nobody.count(stream_id, "d") == 4
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 4


async def _beat_in_postgres_alone(luna: Person, stream_id: str) -> None:
    record = telemetry.RequestRecord("x", "POST", "/x", upstash_is_out=True)
    telemetry.begin(record)
    await service.beat(luna.user_id, stream_id, None)
    telemetry._current.set(None)


async def test_end_that_redis_did_not_hear_of_is_true_within_90_seconds(
    luna: Person, nobody: Person, rest: RestServer
) -> None:
    stream_id = await luna.go_live()
    before = await rest.command("HGET", "stream:shown", stream_id)
    await luna.end(stream_id)
    await rest.command("DEL", "stream:live")  # as if it had not been told
    seconds, _ = await rest.command("TIME")
    await rest.command("ZADD", "stream:live", str(1000 * (int(seconds) + 90)), stream_id)
    await rest.command("HSET", "stream:shown", stream_id, before.decode())
    await pass_time(rest, 91)
    assert await nobody.live() == []
    assert (await nobody.show(stream_id))["status"] == "ended"


async def test_every_key_has_an_end_and_one_prefix(luna: Person, mika: Person, fan: Person, rest: RestServer) -> None:
    async def look() -> None:
        for name in await rest.command("KEYS", "*"):
            key = name.decode()
            if not key.startswith(("rate:", "session:", "creator:")):
                assert key.startswith("stream:"), key
                assert 0 < await rest.command("PTTL", key) <= 180_000, key

    nobody = Person(luna.http)
    stream_id = await luna.go_live()
    await look()
    await nobody.watch(stream_id, "a")  # the first viewer of all: keys that were not there
    await look()
    for seconds in (10, 85):
        await fan.watch(stream_id)
        await nobody.watch(stream_id)
        await look()
        await pass_time(rest, seconds)
        await nobody.live()
        await look()
    await end_vanished()
    await look()
    other = await mika.go_live()
    await fan.watch(other)
    await rest.command("DEL", "stream:counts", "stream:crowds", "stream:peaks")
    await fan.watch(other)
    await nobody.watch(other)
    await look()
    await pass_time(rest, 80)
    await mika.beat(other)
    await pass_time(rest, 20)
    await nobody.show(other)
    await look()
    await mika.end(other)
    await look()
    await nobody.watch(UNKNOWN)
    await look()


async def test_nothing_is_left_in_redis_once_all_is_over(luna: Person, fan: Person, rest: RestServer) -> None:
    nobody = Person(luna.http)
    for ends in (True, False):
        stream_id = await _watched(luna, nobody, "abcd")
        await fan.watch(stream_id)
        if ends:
            await luna.end(stream_id)
        await pass_time(rest, 91)
        await end_vanished()
        await nobody.live()
        await pass_time(rest, 91)
        await nobody.live()
        assert await rest.command("KEYS", "stream:*") == []


async def test_no_key_is_looked_for(luna: Person, fan: Person, rest: RestServer) -> None:
    await rest.command("CONFIG", "RESETSTAT")
    stream_id = await _watched(luna, Person(luna.http), "ab")
    await fan.watch(stream_id)
    await pass_time(rest, 91)
    await luna.live()
    await end_vanished()
    stats = (await rest.command("INFO", "commandstats")).decode()
    used = {line.split(":")[0].removeprefix("cmdstat_") for line in stats.splitlines() if line.startswith("cmdstat_")}
    assert {"zrangebyscore", "evalsha"} <= used
    assert not {"scan", "keys", "sscan", "hscan", "zscan", "hgetall", "smembers", "hkeys"} & used
