"""Usage counts: gathered in the process, written once, with trips that happen anyway."""

from __future__ import annotations

from collections import Counter

import httpx
import pytest

from shared.limits import gate, policies
from shared.limits.usage import FLUSH_SECONDS, MOST_IDENTITIES, Usage
from shared.upstash.client import upstash
from tools.local.rest.faults import Mode
from tools.local.rest.server import RestServer

USER = {"X-Test-User": "u1"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(fresh_process: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fresh_process.setattr(gate, "usage", Usage(clock))
    return clock


async def _written(rest: RestServer, policy: str) -> Counter[str]:
    """What Redis has counted of a policy, over all hours."""
    sums: Counter[str] = Counter()
    for key in await rest.command("KEYS", f"counter:usage:{policy}:*"):
        flat = await rest.command("HGETALL", key.decode())
        for field, count in zip(flat[::2], flat[1::2], strict=True):
            sums[field.decode().partition(".")[2]] += int(count)
    return sums


async def test_counts_ride_with_the_first_trip_after_a_second(
    limited: httpx.AsyncClient, rest: RestServer, clock: Clock
) -> None:
    for _ in range(policies.UPLOAD.quota + 3):
        await limited.post("/limited/upload", headers=USER)
    assert await _written(rest, "upload") == {}

    clock.now += FLUSH_SECONDS
    await rest.reset_counters()
    await limited.post("/limited/api", headers=USER)
    assert rest.requests == 1
    assert await _written(rest, "upload") == {"allowed": policies.UPLOAD.quota, "denied": 3}
    (key,) = await rest.command("KEYS", "counter:denied:upload:*")
    assert await rest.command("ZRANGE", key.decode(), "0", "-1", "WITHSCORES") == [b"rate:upload:user:u1", b"3"]


async def test_each_count_is_one_command_and_each_key_is_given_its_time_to_live_once(
    limited: httpx.AsyncClient, rest: RestServer, clock: Clock
) -> None:
    executed = []
    for _ in range(4):
        clock.now += FLUSH_SECONDS
        await rest.reset_counters()
        await limited.post("/limited/api", headers=USER)
        executed.append(await rest.executed())
    assert executed[1:] == [6, 5, 5]  # EVALSHA, TIME, GET, SET, and HINCRBY; the first time EXPIRE
    (key,) = await rest.command("KEYS", "counter:usage:api:*")
    assert 0 < await rest.command("TTL", key.decode()) <= 604800


async def test_sums_are_exact_over_an_outage_in_which_nothing_arrived(
    limited: httpx.AsyncClient, rest: RestServer, clock: Clock
) -> None:
    sent = Counter[str]()
    for mode in (Mode.OK, Mode.REFUSE, Mode.REFUSE, Mode.OK, Mode.OK):
        await rest.faults.set(mode)
        clock.now += FLUSH_SECONDS
        for _ in range(20):
            answer = await limited.post("/limited/upload", headers=USER)
            sent["allowed" if answer.status_code == 200 else "denied"] += 1
    client = upstash()
    assert client is not None
    client._breaker.succeeded()  # it is open still: nothing has been sent since Redis is back
    taken = gate.usage.take(now=True)
    assert taken is not None
    await client.run(*taken.commands())

    assert await _written(rest, "upload") == sent


async def test_counts_whose_reply_was_lost_are_not_written_twice(
    limited: httpx.AsyncClient, rest: RestServer, clock: Clock
) -> None:
    await limited.post("/limited/api", headers=USER)
    clock.now += FLUSH_SECONDS
    await rest.faults.set(Mode.LOST, count=1)
    await limited.post("/limited/api", headers=USER)
    clock.now += FLUSH_SECONDS
    await limited.post("/limited/api", headers=USER)

    assert await _written(rest, "api") == {"allowed": 2}


async def test_flood_from_many_identities_is_a_bounded_number_of_commands(fresh_process: pytest.MonkeyPatch) -> None:
    usage = Usage()
    for number in range(1000):
        usage.note(policies.PUBLIC, allowed=False, identity=f"rate:public:ip:{number}")
    taken = usage.take(now=True)
    assert taken is not None
    assert len(taken.commands()) <= 1 + MOST_IDENTITIES + 2


def test_nothing_is_due_without_counts_or_before_a_second(fresh_process: pytest.MonkeyPatch) -> None:
    clock = Clock()
    usage = Usage(clock)
    clock.now = 10
    assert usage.take() is None
    usage.note(policies.API, allowed=True)
    assert usage.take() is not None
    usage.note(policies.API, allowed=True)
    clock.now = 10 + FLUSH_SECONDS * 0.99
    assert usage.take() is None
    clock.now = 10 + FLUSH_SECONDS
    assert usage.take() is not None
