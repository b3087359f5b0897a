"""Cache-aside: who computes, who is served what, and what is kept."""

from __future__ import annotations

import asyncio

import pytest

from shared import telemetry
from shared.cache import lease
from shared.cache.space import Space
from shared.cache.spaces import BALANCES, PROFILES
from shared.http.problems import InvalidCursor, UpstreamUnavailable
from shared.upstash import keys
from tests.shared.cache.conftest import Loads, Put, Thing
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

FAR = 9_999_999_999_999


async def _answer(things: Space[Thing], loads: Loads) -> tuple[str | None, str]:
    answer = await things.answer(await lease.ask(things.key("a")), loads)
    return answer.entry.body, answer.outcome


async def test_miss_is_computed_and_kept_and_then_a_hit(things: Space[Thing], loads: Loads, redis: RestServer) -> None:
    assert await _answer(things, loads) == ('{"word":"new"}', "miss")
    assert await _answer(things, loads) == ('{"word":"new"}', "hit")
    assert loads.count == 1
    assert PROFILES.hard * 0.9 <= await redis.command("TTL", things.key("a")) <= PROFILES.hard
    raw = (await redis.command("GET", things.key("a"))).decode()
    seconds, _ = await redis.command("TIME")
    assert PROFILES.soft * 0.9 - 1 <= int(raw[2:].partition(":")[0]) / 1000 - int(seconds) <= PROFILES.soft + 1


async def test_get_or_load_and_get_give_the_model(things: Space[Thing], loads: Loads, redis: RestServer) -> None:
    assert await things.get("a") is None
    assert await things.get_or_load("a", load=loads) == Thing(word="new")
    assert await things.get_or_load("a", load=loads) == Thing(word="new")
    assert await things.get("a") == Thing(word="new")
    assert loads.count == 1


async def test_absence_is_remembered_more_briefly(things: Space[Thing], loads: Loads, redis: RestServer) -> None:
    loads.answer = None
    assert [await _answer(things, loads) for _ in range(2)] == [(None, "miss"), (None, "hit")]
    assert await things.get_or_load("a", load=loads) is None
    assert loads.count == 1
    assert 0 < await redis.command("TTL", things.key("a")) <= PROFILES.absent


async def test_miss_is_two_trips_and_a_stale_value_one(
    things: Space[Thing], loads: Loads, redis: RestServer, put: Put
) -> None:
    await lease.give_back("k", "t")  # makes the scripts known
    await lease.ask("k")
    await redis.reset_counters()
    await _answer(things, loads)
    assert redis.requests == 2
    await put(things.key("a"), '{"word":"old"}', token="x", leased_until=FAR)
    await redis.reset_counters()
    assert await _answer(things, loads) == ('{"word":"old"}', "stale")
    assert redis.requests == 1


async def test_expired_value_is_served_stale_while_one_refreshes(
    things: Space[Thing], loads: Loads, redis: RestServer, put: Put
) -> None:
    await put(things.key("a"), '{"word":"old"}')
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Thing | None:
        begun.set()
        await go_on.wait()
        return await loads()

    refreshing = asyncio.create_task(things.answer(await lease.ask(things.key("a")), slow))
    await begun.wait()
    others = await asyncio.gather(*(_answer(things, loads) for _ in range(20)))
    go_on.set()

    assert set(others) == {('{"word":"old"}', "stale")}
    assert (await refreshing).outcome == "miss"
    assert await _answer(things, loads) == ('{"word":"new"}', "hit")
    assert loads.count == 1


async def test_50_misses_at_once_make_one_load(things: Space[Thing], loads: Loads, redis: RestServer) -> None:
    found = await asyncio.gather(*(_answer(things, loads) for _ in range(50)))
    assert set(found) == {('{"word":"new"}', "miss")}
    assert loads.count == 1


async def test_lease_of_a_killed_holder_is_waited_for_a_second_and_then_everyone_computes_once(
    things: Space[Thing], loads: Loads, redis: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.2)
    await lease.ask(things.key("a"))  # and is killed
    found = await asyncio.gather(*(_answer(things, loads) for _ in range(10)))
    assert set(found) == {('{"word":"new"}', "miss")}
    assert loads.count == 1
    assert b"l" in (await redis.command("GET", things.key("a")))[:2], "what was computed without the lease is not kept"


async def test_lease_that_ran_out_goes_to_whoever_waits(things: Space[Thing], loads: Loads, redis: RestServer) -> None:
    await lease.ask(things.key("a"))
    waiting = asyncio.create_task(_answer(things, loads))
    await asyncio.sleep(0.05)
    await redis.command("DEL", things.key("a"))
    assert await waiting == ('{"word":"new"}', "miss")
    assert await _answer(things, loads) == ('{"word":"new"}', "hit")


@pytest.mark.parametrize("kind", [UpstreamUnavailable, InvalidCursor])
async def test_load_that_fails_gives_its_lease_back(
    things: Space[Thing], loads: Loads, redis: RestServer, kind: type[Exception]
) -> None:
    loads.answer = kind()
    with pytest.raises(kind):
        await _answer(things, loads)
    assert await redis.command("EXISTS", things.key("a")) == 0
    loads.answer = Thing(word="new")
    assert await _answer(things, loads) == ('{"word":"new"}', "miss")


async def test_load_that_fails_serves_stale_and_keeps_others_from_trying(
    things: Space[Thing], loads: Loads, put: Put
) -> None:
    await put(things.key("a"), '{"word":"old"}')
    loads.answer = UpstreamUnavailable()
    assert [await _answer(things, loads) for _ in range(3)] == [('{"word":"old"}', "stale")] * 3
    assert loads.count == 1


async def test_failure_of_another_kind_is_not_hidden_behind_a_stale_value(
    things: Space[Thing], loads: Loads, put: Put
) -> None:
    await put(things.key("a"), '{"word":"old"}')
    loads.answer = RuntimeError("a mistake of ours")
    with pytest.raises(RuntimeError):
        await _answer(things, loads)


async def test_all_who_wait_for_a_load_that_fails_are_told(
    things: Space[Thing], loads: Loads, redis: RestServer
) -> None:
    loads.answer = UpstreamUnavailable()
    found = await asyncio.gather(*(_answer(things, loads) for _ in range(10)), return_exceptions=True)
    assert {type(each) for each in found} == {UpstreamUnavailable}
    assert loads.count == 1


async def test_cancelled_holder_leaves_it_to_those_who_wait(
    things: Space[Thing], loads: Loads, redis: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.2)
    begun = asyncio.Event()

    async def forever() -> Thing | None:
        begun.set()
        await asyncio.Event().wait()
        return None

    holder = asyncio.create_task(things.answer(await lease.ask(things.key("a")), forever))
    await begun.wait()
    waiting = [asyncio.create_task(_answer(things, loads)) for _ in range(5)]
    await asyncio.sleep(0.02)
    holder.cancel()
    assert set(await asyncio.gather(*waiting)) == {('{"word":"new"}', "miss")}
    assert loads.count == 1


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.ERROR_500, Mode.CUT, Mode.LOST])
async def test_cache_error_is_a_miss_with_one_load_for_all(
    things: Space[Thing], loads: Loads, redis: RestServer, mode: Mode
) -> None:
    await redis.faults.set(mode)

    async def request() -> tuple[str | None, str]:
        telemetry.begin(telemetry.RequestRecord("id", "GET", "/"))
        return await _answer(things, loads)

    found = await asyncio.gather(*(request() for _ in range(50)))
    assert set(found) == {('{"word":"new"}', "miss")}
    assert loads.count == 1


async def test_without_upstash_everything_is_a_miss(
    things: Space[Thing], loads: Loads, fresh_process: pytest.MonkeyPatch
) -> None:
    assert [await _answer(things, loads) for _ in range(2)] == [('{"word":"new"}', "miss")] * 2
    assert await things.get("a") is None


@pytest.mark.parametrize("junk", ["", "junk", "1v9999999999999:::0", '{"word":"old"}', "1l9:x"])
async def test_junk_in_the_cache_is_a_miss_and_is_replaced(
    things: Space[Thing], loads: Loads, redis: RestServer, junk: str
) -> None:
    await redis.command("SET", things.key("a"), junk)
    assert await _answer(things, loads) == ('{"word":"new"}', "miss")
    assert await _answer(things, loads) == ('{"word":"new"}', "hit")


async def test_value_of_another_type_is_nobodys_to_replace(
    things: Space[Thing], loads: Loads, redis: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.05)
    await redis.command("RPUSH", things.key("a"), "x")
    assert await _answer(things, loads) == ('{"word":"new"}', "miss")
    assert await redis.command("TYPE", things.key("a")) == b"list"


async def test_reader_after_a_drop_is_not_given_what_was_begun_before_it(
    things: Space[Thing], loads: Loads, redis: RestServer
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def old() -> Thing | None:
        begun.set()
        await go_on.wait()
        return Thing(word="old")

    async def follower() -> tuple[str | None, str]:
        answer = await things.answer(await lease.ask(things.key("a")), old)
        return answer.entry.body, answer.outcome

    before = [asyncio.create_task(follower()) for _ in range(3)]
    await begun.wait()
    await redis.command("DEL", things.key("a"))  # a change was committed, and dropped what it made untrue
    after = await asyncio.gather(*(_answer(things, loads) for _ in range(5)))
    go_on.set()

    assert set(after) == {('{"word":"new"}', "miss")}
    assert ('{"word":"old"}', "miss") in set(await asyncio.gather(*before))
    assert await _answer(things, loads) == ('{"word":"new"}', "hit")


async def test_stale_value_of_a_patient_space_is_served_only_when_the_truth_is_out(
    loads: Loads, redis: RestServer, put: Put
) -> None:
    balances = Space(keys.TEMP, "thing", Thing, BALANCES)
    await put(balances.key("a"), '{"word":"old"}')
    found = await asyncio.gather(*(_answer(balances, loads) for _ in range(20)))
    assert set(found) == {('{"word":"new"}', "miss")}
    assert loads.count == 1

    await put(balances.key("a"), '{"word":"old"}')
    loads.answer = UpstreamUnavailable()
    assert await _answer(balances, loads) == ('{"word":"old"}', "stale")
