"""Upstash or Postgres out: streams go on from the other, as far as it knows; and back again."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from shared.postgres import pool
from tests.functions.streams.people import UNKNOWN, Person, code_of, end_vanished, pass_time, row_of
from tools.local.proxy import FaultProxy
from tools.local.proxy import Mode as ProxyMode
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

BREAKING = [Mode.REFUSE, Mode.HANG, Mode.SLOW, Mode.ERROR_500, Mode.CUT, Mode.LOST]
POSTGRES_OUT = [ProxyMode.REFUSE, ProxyMode.HANG, ProxyMode.ERROR_500, ProxyMode.CUT]


def _assert_local(*answers: httpx.Response) -> None:
    for answer in answers:
        assert answer.headers["x-ratelimit-mode"] == "local"


async def _back(nobody: Person) -> None:
    """Until the breaker lets trips through again."""
    started = time.monotonic()
    while "x-ratelimit-mode" in (await nobody.http.get("/streams/live")).headers:
        assert time.monotonic() - started < 3
        await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("mode", BREAKING)
async def test_streams_go_on_without_upstash(
    luna: Person, mika: Person, fan: Person, nobody: Person, rest: RestServer, mode: Mode
) -> None:
    quiet, loud = await luna.go_live(), await mika.go_live()
    await asyncio.gather(*(nobody.watch(loud, viewer) for viewer in "abc"))
    await fan.watch(quiet)
    await luna.beat(quiet)
    await mika.beat(loud)
    await nobody.watch(quiet, "later")
    await rest.faults.set(mode)
    started = time.monotonic()

    listed = await nobody.http.get("/streams/live")
    assert [(one["id"], one["viewers"]) for one in listed.json()["streams"]] == [(loud, 3), (quiet, 1)]
    shown = await nobody.http.get(f"/streams/{quiet}")
    assert (shown.json()["stream"]["status"], shown.json()["stream"]["viewers"]) == ("live", 1)
    watched = await nobody.watch(loud, "d")
    assert (watched.status_code, watched.json()["viewers"]) == (200, 3)
    beaten = await luna.beat(quiet)
    assert beaten.status_code == 204
    assert code_of(await mika.beat(quiet)) == (403, "forbidden")
    ended = await luna.end(quiet)
    assert (ended.status_code, ended.json()["stream"]["peak_viewers"]) == (200, 1)
    begun = await luna.start("Another")
    assert begun.status_code == 201
    assert code_of(await luna.start()) == (409, "already_live")
    assert code_of(await nobody.watch(quiet)) == (404, "stream_not_found")
    assert code_of(await nobody.watch(UNKNOWN)) == (404, "stream_not_found")
    assert code_of(await nobody.http.get(f"/streams/{UNKNOWN}")) == (404, "stream_not_found")
    _assert_local(listed, shown, watched, beaten, ended, begun)
    assert time.monotonic() - started < 12

    new = begun.json()["stream"]["id"]
    pages = [await nobody.http.get("/streams/live", params={"limit": 1})]
    pages.append(await nobody.http.get("/streams/live", params={"cursor": pages[0].json()["next_cursor"]}))
    assert [one["id"] for page in pages for one in page.json()["streams"]] == [loud, new]
    await rest.faults.set(Mode.OK)
    await _back(nobody)
    assert (await luna.beat(new)).status_code == 204
    assert code_of(await luna.beat(quiet)) == (404, "stream_not_found")
    assert {one["id"] for one in await nobody.live()} >= {loud, new}
    assert await nobody.count(loud, "d") == 4
    await pass_time(rest, 60)
    await luna.beat(new)
    await pass_time(rest, 30)
    assert [one["id"] for one in await nobody.live()] == [new]


async def test_vanished_in_an_outage_is_ended_by_reconcile(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    await nobody.watch(stream_id, "a")
    await luna.beat(stream_id)
    await pass_time(rest, 91)
    await rest.faults.set(Mode.ERROR_500)
    assert (await nobody.http.get("/streams/live")).json()["streams"] == []
    assert await end_vanished() == 1
    assert await end_vanished() == 0
    row = await row_of(stream_id)
    assert (row["ended_at"], row["peak_viewers"]) == (row["last_beat_at"], 1)


async def test_no_upstash_at_all_is_like_one_that_is_out(
    luna: Person, nobody: Person, fresh_process: pytest.MonkeyPatch
) -> None:
    monkeypatch = fresh_process
    monkeypatch.setattr("shared.presence.viewers.upstash", lambda: None)
    monkeypatch.setattr("shared.limits.gate.upstash", lambda: None)
    monkeypatch.setattr("shared.postgres.outbox.upstash", lambda: None)
    stream_id = await luna.go_live()
    assert await nobody.count(stream_id, "a") == 0
    assert (await luna.beat(stream_id)).status_code == 204
    assert [one["id"] for one in await nobody.live()] == [stream_id]
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 0
    assert code_of(await nobody.watch(stream_id, "a")) == (404, "stream_not_found")


@pytest.mark.slow
@pytest.mark.parametrize("mode", POSTGRES_OUT)
async def test_without_postgres_what_is_live_is_shown_and_nothing_begins_or_ends(
    luna: Person, mika: Person, nobody: Person, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, mode: ProxyMode
) -> None:
    monkeypatch.setattr(pool, "TRANSACTION_SECONDS", 1.0)
    stream_id = await luna.go_live()
    await proxy.set(mode)
    refused = [await mika.start(), await luna.beat(stream_id), await luna.end(stream_id)]
    refused += [await nobody.watch(UNKNOWN), await nobody.http.get(f"/streams/{UNKNOWN}")]
    for answer in refused:
        assert code_of(answer) == (503, "upstream_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert await nobody.count(stream_id, "a") == 1
    (shown,) = await nobody.live()
    assert shown == await nobody.show(stream_id)
    assert shown["viewers"] == 1

    await proxy.set(ProxyMode.OK)
    assert (await luna.beat(stream_id)).status_code == 204
    assert (await luna.end(stream_id)).json()["stream"]["peak_viewers"] == 1
    await mika.go_live()


@pytest.mark.slow
async def test_with_both_out_it_is_503_in_time(
    luna: Person, nobody: Person, rest: RestServer, proxy: FaultProxy
) -> None:
    stream_id = await luna.go_live()
    await rest.faults.set(Mode.HANG)
    await proxy.set(ProxyMode.HANG)
    started = time.monotonic()
    paths = ["/streams/live", f"/streams/{stream_id}"]
    answers = await asyncio.gather(*(nobody.http.get(path) for path in paths), nobody.watch(stream_id, "a"))
    assert {code_of(answer) for answer in answers} == {(503, "upstream_unavailable")}
    assert time.monotonic() - started < 5


async def test_keys_of_another_kind_are_no_5xx(luna: Person, nobody: Person, rest: RestServer) -> None:
    stream_id = await luna.go_live()
    for key in ("live", "beats", "counts", "crowds", "peaks", "shown"):
        await rest.command("FLUSHALL")
        await rest.command("SET", f"stream:{key}", "nonsense", "EX", "60")
        answers = [await nobody.http.get("/streams/live"), await nobody.http.get(f"/streams/{stream_id}")]
        answers += [await nobody.watch(stream_id, "a"), await luna.beat(stream_id), await luna.end(UNKNOWN)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 204, 404], key
