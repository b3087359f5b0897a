"""A stream ends: once, by its creator, and what it was is kept, whatever happens at the same time."""

from __future__ import annotations

import asyncio
from datetime import datetime

from shared.presence import viewers
from shared.upstash.client import upstash
from tests.functions.auth.people import forget_limits
from tests.functions.streams.people import UNKNOWN, Person, code_of, end_vanished, pass_time, row_of
from tools.local.rest.server import RestServer


async def test_end_says_how_it_was_and_says_it_again(
    luna: Person, fan: Person, nobody: Person, rest: RestServer
) -> None:
    stream_id = await luna.go_live("Songs")
    for viewer in "abc":
        await nobody.watch(stream_id, viewer)
    await fan.watch(stream_id)
    await pass_time(rest, 80)
    await luna.beat(stream_id)
    await pass_time(rest, 45)  # all the viewers have left long before the end
    assert (await nobody.show(stream_id))["viewers"] == 0
    answer = await luna.end(stream_id)
    assert answer.status_code == 200
    stream = answer.json()["stream"]
    assert (stream["status"], stream["viewers"], stream["peak_viewers"], stream["title"]) == ("ended", 0, 4, "Songs")
    assert 125 <= stream["duration"] < 135
    seconds = datetime.fromisoformat(stream["ended_at"]) - datetime.fromisoformat(stream["started_at"])
    assert int(seconds.total_seconds()) == stream["duration"]
    assert await nobody.live() == []
    row = await row_of(stream_id)
    assert (row["ended_at"], row["peak_viewers"]) == (datetime.fromisoformat(stream["ended_at"]), 4)

    await rest.command("FLUSHALL")
    assert (await luna.end(stream_id)).json() == answer.json()
    assert await nobody.show(stream_id) == stream
    assert await row_of(stream_id) == row


async def test_peak_since_the_last_heartbeat_counts_at_the_end(luna: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    await nobody.watch(stream_id, "a")
    await luna.beat(stream_id)
    for viewer in "bcd":
        await nobody.watch(stream_id, viewer)
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 4


async def test_only_its_creator_may_end_it(luna: Person, mika: Person, fan: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    for other in (mika, fan):
        assert code_of(await other.end(stream_id)) == (403, "forbidden")
    assert code_of(await nobody.end(stream_id)) == (401, "unauthenticated")
    assert code_of(await luna.end(UNKNOWN)) == (404, "stream_not_found")
    assert code_of(await luna.end("nonsense")) == (422, "validation_failed")
    assert (await nobody.show(stream_id))["status"] == "live"
    await luna.end(stream_id)
    assert code_of(await mika.end(stream_id)) == (403, "forbidden")


async def test_end_of_what_had_vanished_is_its_last_heartbeat(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    await nobody.watch(stream_id, "a")
    await pass_time(rest, 40)
    await luna.beat(stream_id)
    await pass_time(rest, 300)
    shown = await nobody.show(stream_id)
    assert (shown["status"], shown["peak_viewers"]) == ("ended", 1)
    assert 40 <= shown["duration"] < 50
    assert (await luna.end(stream_id)).json()["stream"] == shown
    assert await end_vanished() == 0
    assert (await row_of(stream_id))["peak_viewers"] == 1


async def test_unknown_is_404(nobody: Person) -> None:
    assert code_of(await nobody.http.get(f"/streams/{UNKNOWN}")) == (404, "stream_not_found")
    assert code_of(await nobody.http.get("/streams/nonsense")) == (422, "validation_failed")


async def test_id_may_be_written_in_capitals(luna: Person, nobody: Person) -> None:
    stream_id = await luna.go_live()
    assert await nobody.count(stream_id.upper(), "a") == 1
    assert (await luna.beat(stream_id.upper())).status_code == 204
    assert (await nobody.show(stream_id.upper()))["viewers"] == 1
    assert (await luna.end(stream_id.upper())).json()["stream"]["peak_viewers"] == 1


async def test_deletes_heartbeats_and_reconciles_at_once_are_one_end(
    luna: Person, nobody: Person, rest: RestServer
) -> None:
    for seconds in (0, 90):  # alive; and vanished, and not swept yet
        stream_id = await luna.go_live()
        await nobody.watch(stream_id, "a")
        await luna.beat(stream_id)
        await pass_time(rest, seconds)
        ends, others, swept = await asyncio.gather(
            asyncio.gather(*(luna.end(stream_id) for _ in range(8))),
            asyncio.gather(
                *(luna.beat(stream_id) for _ in range(8)), *(nobody.watch(stream_id, f"v{n}") for n in range(8))
            ),
            asyncio.gather(*(end_vanished() for _ in range(4))),
        )
        assert {answer.status_code for answer in ends} == {200}
        assert len({answer.text for answer in ends}) == 1, "all of them say the same"
        assert {answer.status_code for answer in others} <= {200, 204, 404}
        assert sum(swept) <= (seconds > 0)
        row = await row_of(stream_id)
        assert row["ended_at"] is not None
        assert await nobody.live() == [], "whoever came last, it is over"
        assert (await nobody.show(stream_id))["status"] == "ended"
        assert code_of(await nobody.watch(stream_id, "a")) == (404, "stream_not_found")
        await forget_limits(rest)


async def test_heartbeat_that_redis_hears_of_after_the_end_changes_nothing(luna: Person, nobody: Person) -> None:
    """Both committed, the heartbeat first; what they tell Redis arrives the other way round."""
    stream_id = await luna.go_live()
    late = viewers.beat(stream_id, '{"late": true}')
    await luna.end(stream_id)
    client = upstash()
    assert client is not None
    assert await client.run(late) == [0]
    assert await nobody.live() == []
    assert (await nobody.show(stream_id))["status"] == "ended"
