"""Heartbeats: theirs alone, while there is time; 90 s without one end a stream, once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from functions.payments import reconcile
from functions.payments.figures import Run
from shared.presence.streams import ENDED_AT_ONCE
from tests.functions.streams.people import UNKNOWN, Person, begin_many, code_of, end_vanished, pass_time, row_of
from tools.local.rest.server import RestServer


async def test_heartbeats_keep_a_stream_alive(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    for _ in range(4):
        await pass_time(rest, 80)
        answer = await luna.beat(stream_id)
        assert (answer.status_code, answer.content) == (204, b"")
    (shown,) = await nobody.live()
    assert shown == await nobody.show(stream_id)
    assert shown["status"] == "live"
    assert await end_vanished() == 0


async def test_heartbeat_of_another_is_refused_and_keeps_nothing(
    luna: Person, mika: Person, fan: Person, nobody: Person, rest: RestServer
) -> None:
    stream_id = await luna.go_live()
    await pass_time(rest, 75)
    for other in (mika, fan):
        assert code_of(await other.beat(stream_id)) == (403, "forbidden")
    assert code_of(await nobody.beat(stream_id)) == (401, "unauthenticated")
    await pass_time(rest, 15)
    assert await nobody.live() == []
    assert code_of(await luna.beat(stream_id)) == (404, "stream_not_found")


async def test_heartbeat_of_what_is_not_live_is_404(luna: Person, rest: RestServer) -> None:
    assert code_of(await luna.beat(UNKNOWN)) == (404, "stream_not_found")
    stream_id = await luna.go_live()
    await luna.end(stream_id)
    assert code_of(await luna.beat(stream_id)) == (404, "stream_not_found")
    vanished = await luna.go_live()
    await pass_time(rest, 90)
    assert code_of(await luna.beat(vanished)) == (404, "stream_not_found")
    await end_vanished()
    assert code_of(await luna.beat(vanished)) == (404, "stream_not_found")
    assert code_of(await luna.beat("nonsense")) == (422, "validation_failed")


async def test_vanished_stream_is_nowhere_and_ends_once_with_its_last_heartbeat(
    luna: Person, mika: Person, nobody: Person, rest: RestServer
) -> None:
    other = await mika.go_live()
    stream_id = await luna.go_live()
    assert await nobody.is_live("luna") == (True, "miss")
    for viewer in "abc":
        await nobody.watch(stream_id, viewer)
    await pass_time(rest, 30)
    await asyncio.gather(luna.beat(stream_id), mika.beat(other))
    await nobody.watch(stream_id, "d")  # not known to any heartbeat
    last_beat = (await row_of(stream_id))["last_beat_at"]
    await pass_time(rest, 80)
    await mika.beat(other)
    assert [one["id"] for one in await nobody.live()] == [stream_id, other]
    await pass_time(rest, 10)

    assert [one["id"] for one in await nobody.live()] == [other]
    assert code_of(await nobody.watch(stream_id, "a")) == (404, "stream_not_found")
    shown = await nobody.show(stream_id)
    assert (shown["status"], shown["peak_viewers"], shown["viewers"]) == ("ended", 3, 0)
    assert 30 <= shown["duration"] < 40
    assert await nobody.is_live("luna") == (True, "hit"), "until reconcile comes, or its soft expiry"

    assert sum(await asyncio.gather(*(end_vanished() for _ in range(8)))) == 1
    row = await row_of(stream_id)
    assert (row["ended_at"], row["peak_viewers"], row["viewers"]) == (row["last_beat_at"], 3, 0)
    assert row["ended_at"] == last_beat - timedelta(seconds=90)
    assert await nobody.show(stream_id) == shown
    assert await nobody.is_live("luna") == (False, "miss")
    assert await end_vanished() == 0
    assert await row_of(stream_id) == row
    assert (await mika.beat(other)).status_code == 204


async def test_profile_is_not_live_within_its_soft_expiry_without_reconcile(
    luna: Person, nobody: Person, rest: RestServer
) -> None:
    await luna.go_live()
    assert await nobody.is_live("luna") == (True, "miss")
    await pass_time(rest, 90)
    raw = (await rest.command("GET", "creator:profile:luna")).decode()
    head, _, body = raw.partition("\n")
    kind_and_time, _, others = head.partition(":")
    assert kind_and_time.startswith("1v")
    seconds, _ = await rest.command("TIME")
    assert int(kind_and_time[2:]) / 1000 - int(seconds) <= 60 * 1.2, "the soft expiry, with its jitter"
    await rest.command("SET", "creator:profile:luna", f"1v5:{others}\n{body}", "KEEPTTL")  # that has passed
    assert (await nobody.is_live("luna"))[0] is False


async def test_many_that_vanished_are_ended_in_steps(nobody: Person, rest: RestServer) -> None:
    await begin_many(ENDED_AT_ONCE + 20)
    await pass_time(rest, 91)
    counts = await asyncio.gather(*(end_vanished() for _ in range(3)))
    counts += [await end_vanished()]
    assert sum(counts) == ENDED_AT_ONCE + 20
    assert max(counts) <= ENDED_AT_ONCE
    assert await end_vanished() == 0


async def test_two_reconciles_at_once_end_it_once(luna: Person, mika: Person, rest: RestServer) -> None:
    await luna.go_live()
    await mika.go_live()
    await pass_time(rest, 91)
    runs = [Run(), Run()]
    for run in runs:
        run.share_time(1)
    await asyncio.gather(*(reconcile._streams(run) for run in runs))
    assert sum(run.ended for run in runs) == 2
    assert await end_vanished() == 0
