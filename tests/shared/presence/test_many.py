"""Presence with many: a thousand streams, fifty thousand viewers, thousands that leave at once, and threads."""

from __future__ import annotations

import random
import threading
from uuid import UUID

import pytest

from shared.presence import viewers
from shared.upstash.scripts import ScriptCall
from tests.conftest import Services
from tests.shared.limits.lua import Redis
from tests.shared.presence.presence import ALIVE_MS, Presence, at_once, audit

pytestmark = pytest.mark.slow

STREAM = str(UUID(int=1))
ADDRESSES = [f"192.0.2.{number}" for number in range(250)]


class Recorded:
    """Calls that are not sent yet."""

    def __init__(self) -> None:
        self.calls: list[ScriptCall] = []

    async def run(self, *calls: ScriptCall) -> list[int]:
        self.calls += calls
        return [0 for _ in calls]


@pytest.fixture
def recorded(fresh_process: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    fresh_process.setattr(viewers, "upstash", lambda: recorded)
    return recorded


def _send(redis: Redis, calls: list[ScriptCall]) -> list[int]:
    """With the clock of Redis."""
    for script in {call.script for call in calls}:
        redis.load(script.source)
    return [int(answer) for answer in redis.run(calls)]  # type: ignore[arg-type]


def test_thousand_streams_and_fifty_thousand_viewers_are_listed_in_order(
    services: Services, recorded: Recorded
) -> None:
    ids, chance = [str(UUID(int=number)) for number in range(1000)], random.Random(7)
    expected = dict.fromkeys(ids, 0)
    at_once(recorded.run(*(viewers.beat(one, "{}") for one in ids)))
    for number in range(50_000):
        stream = ids[int(1000 * chance.random() ** 2)]
        at_once(viewers.watch(stream, user_id=f"user-{number}", address="", name=""))
        expected[stream] += 1
    with Redis(services.redis.socket) as redis:
        _send(redis, recorded.calls)
        presence = Presence(redis, now=int(redis.run([["TIME"]])[0][0]) * 1000)
        found = [(one.stream_id, one.viewers) for one in presence.pages(100)]
        assert found == sorted(expected.items(), key=lambda row: (row[1], row[0]), reverse=True)
        redis.run([["CONFIG", "RESETSTAT"]])
        assert len(presence.page(25)) == 25
        stats = redis.run([["INFO", "commandstats"]])[0].decode()
        calls = {line.split(":")[0][8:]: int(line.split("=")[1].split(",")[0]) for line in stats.splitlines()[1:]}
        ours = {name: count for name, count in calls.items() if name not in {"info", "pttl", "config|resetstat"}}
        assert ours == {"evalsha": 1, "zrangebyscore": 2, "zrevrangebyscore": 1, "hmget": 1}
        audit(redis)


def test_of_ten_thousand_names_of_one_address_twenty_count(presence: Presence) -> None:
    presence.beat(STREAM)
    counts = [presence.watch(STREAM, name=f"v{number}") for number in range(10_000)]
    assert counts == [*range(1, 21), *[20] * 9_980]
    assert presence.watch(STREAM, address="192.0.2.2") == 21
    presence.pass_time(ALIVE_MS - 1)
    presence.beat(STREAM)
    assert [presence.watch(STREAM, name=f"v{number}") for number in (0, 1, 9_000)] == [21, 21, 21]
    presence.pass_time(1)
    assert [presence.watch(STREAM, name=f"w{number}") for number in range(30)] == [*range(3, 21), *[20] * 12]


def test_six_thousand_who_are_gone_at_once_are_forgotten_by_the_next_two(presence: Presence) -> None:
    presence.beat(STREAM)
    for number in range(6_000):
        presence.watch(
            STREAM, user=None if number % 2 else f"u{number}", address=ADDRESSES[number % 250], name=f"{number}"
        )
    found = presence.peek(STREAM)
    assert found is not None
    watching = found.viewers
    assert watching == 3_000 + 125 * 20
    presence.pass_time(ALIVE_MS - 1)
    presence.beat(STREAM)
    assert presence.watch(STREAM, user="late") == watching + 1
    presence.pass_time(1)
    counts = [found.viewers for _ in range(2) if (found := presence.peek(STREAM))]
    assert counts == [watching + 1 - 5_000, 1]
    last = presence.peek(STREAM)
    assert last is not None
    assert last.peak_viewers == watching + 1


def test_thousands_of_streams_that_vanish_at_once_are_forgotten(presence: Presence) -> None:
    for number in range(6_000):
        presence.beat(str(UUID(int=number)))
    presence.pass_time(ALIVE_MS)
    assert len(presence.page(101)) == 101, "those that are left to the next"
    assert presence.page(101) == []


def test_stream_dies_90_seconds_after_its_last_heartbeat_with_all_who_watch(presence: Presence) -> None:
    presence.beat(STREAM)
    presence.pass_time(60_000)
    presence.watch(STREAM, name="a")
    presence.pass_time(29_999)
    assert [(one.stream_id, one.viewers) for one in presence.page(5)] == [(STREAM, 1)]
    presence.pass_time(1)
    assert presence.page(5) == []
    assert presence.peek(STREAM) is None
    assert presence.watch(STREAM, name="a") is None


def test_unknown_stream_is_nobodys(presence: Presence) -> None:
    assert presence.peek(STREAM) is None
    assert presence.peek("") is None
    assert presence.watch(STREAM, name="a") is None
    presence.finish(STREAM)
    assert presence.beat(STREAM) == 0
    assert presence.page(5) == []


def test_threads_that_watch_beat_end_and_leave_lose_no_count(services: Services, recorded: Recorded) -> None:
    """Real scripts on connections of their own, while scores are moved back as if time passed."""
    ids = [str(UUID(int=number)) for number in range(12)]
    with Redis(services.redis.socket) as redis:
        at_once(recorded.run(*(viewers.beat(one, "{}") for one in ids)))
        _send(redis, recorded.calls)
        at_once(recorded.run(viewers.finish(ids[0])))
        at_once(viewers.watch(ids[0], user_id="x", address="", name=""))
        _send(redis, recorded.calls)
        failures: list[BaseException] = []

        def work(seed: int) -> None:
            chance, connection = random.Random(seed), Redis(services.redis.socket)
            try:
                calls = Recorded()
                for _ in range(1_500):
                    stream, name = chance.choice(ids), f"{chance.randrange(60)}"
                    dice = chance.random()
                    if dice < 0.05:
                        calls.calls.append(viewers.beat(stream, "{}"))
                    elif dice < 0.06:
                        calls.calls.append(viewers.finish(stream))
                    else:
                        calls.calls.append(_watching(stream, chance.choice(["", *ADDRESSES[:3]]), name))
                for start in range(0, len(calls.calls), 50):
                    connection.run(calls.calls[start : start + 50])  # type: ignore[arg-type]
                    member = connection.run([["ZRANDMEMBER", "stream:beats"]])[0]
                    if member is not None:
                        connection.run([["ZADD", "stream:beats", "XX", 5, member.decode()]])
                    connection.run([["ZADD", "stream:live", "XX", 5, chance.choice(ids)]])
            except BaseException as error:  # noqa: BLE001 -- shown by the test
                failures.append(error)
            finally:
                connection.__exit__(None, None, None)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures
        audit(redis)


def _watching(stream: str, address: str, name: str) -> ScriptCall:
    whom = f"a:{address.encode().hex()}:{name}" if address else f"u:{name}"
    return viewers._WATCH(viewers._keys(), stream, whom, address and address.encode().hex(), 20, ALIVE_MS)
