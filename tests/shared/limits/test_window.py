"""The sliding window: the script, its twin in Python and upstash_ratelimit's own say the same; waiting gets you in."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upstash_ratelimit.limiter import SlidingWindow

from shared.limits.window import Bucket, Verdict, admit
from tests.conftest import Services
from tests.shared.limits.lua import ADMIT, Redis

SEQUENCES = 10_000
CALLS = 12
# Nothing may expire in Redis's real time while the sequences run in one of their own.
WINDOWS = (60_000, 61_237, 900_000, 3_600_000)
START = 1_795_428_000_000


@dataclass
class Sequence:
    """Calls on one identity, at times of their own."""

    name: str
    quota: int
    window: int
    times: list[int]

    @classmethod
    def random(cls, number: int, chance: random.Random) -> Sequence:
        window = chance.choice(WINDOWS)
        quota = chance.choice((1, 2, 3, 5, 7, 10))
        now, times = START + chance.randrange(10 * window), []
        for _ in range(CALLS):
            times.append(now)
            now += chance.choice((0, 1, window // 20, chance.randrange(window), window, 2 * window - 1, 2 * window))
        return cls(f"s{number}", quota, window, times)


@pytest.mark.slow
def test_script_equals_upstash_ratelimits_sliding_window(services: Services) -> None:
    chance = random.Random(1)
    sequences = [Sequence.random(number, chance) for number in range(SEQUENCES)]
    with Redis(services.redis.socket) as redis:
        ours = redis.load(ADMIT)
        stock = redis.load(SlidingWindow.SCRIPT.partition("\n")[2])  # without the flag that only Upstash knows
        answers = redis.run(
            ["EVALSHA", ours, 1, f"ours:{one.name}", 1, one.quota, one.window, now]
            for one in sequences
            for now in one.times
        )
        stock_answers = redis.run(
            [
                *("EVALSHA", stock, 2, f"{one.name}:{now // one.window}", f"{one.name}:{now // one.window - 1}"),
                *(one.quota, now, one.window, 1),
            ]
            for one in sequences
            for now in one.times
        )

    denied = 0
    for place, (answer, remaining) in enumerate(zip(answers, stock_answers, strict=True)):
        assert (answer[0] == 1, answer[1]) == (remaining >= 0, max(0, remaining)), sequences[place // CALLS]
        denied += answer[0] == 0
    assert len(answers) // 10 < denied < len(answers) * 9 // 10, "the sequences try both"


def test_twin_in_python_equals_the_script_for_any_tiers_and_cost(services: Services) -> None:
    chance = random.Random(2)
    with Redis(services.redis.socket) as redis:
        script = redis.load(ADMIT)
        for number in range(1000):
            tiers = chance.randint(1, 3)
            one = Sequence.random(number, chance)
            costs = [chance.choice((1, 1, 1, 2, 5)) for _ in one.times]
            order = [chance.sample(range(4), tiers) for _ in one.times]  # now these identities, now others
            answers = redis.run(
                [
                    *("EVALSHA", script, str(tiers), *(f"{one.name}:{identity}" for identity in identities)),
                    *(cost, *([one.quota, one.window] * tiers), now),
                ]
                for now, cost, identities in zip(one.times, costs, order, strict=True)
            )
            buckets = [Bucket() for _ in range(4)]
            for answer, now, cost, identities in zip(answers, one.times, costs, order, strict=True):
                verdicts = admit([buckets[i] for i in identities], one.quota, one.window, now, cost)
                assert answer == [verdicts[0].admitted, *(n for v in verdicts for n in (v.remaining, v.wait_ms))]


def test_script_and_twin_agree_when_the_clock_goes_back(services: Services) -> None:
    times = [START, START + 59_000, START + 130_000, START + 10, START + 20, START + 131_000, START + 300_000]
    with Redis(services.redis.socket) as redis:
        script = redis.load(ADMIT)
        answers = redis.run(["EVALSHA", script, 1, "back", 1, 2, 60_000, now] for now in times)
    bucket = Bucket()
    for answer, now in zip(answers, times, strict=True):
        (verdict,) = admit([bucket], 2, 60_000, now)
        assert answer == [verdict.admitted, verdict.remaining, verdict.wait_ms]
        assert 0 <= verdict.wait_ms <= 4 * 60_000


history = st.lists(st.integers(0, 2500), max_size=40)


@settings(max_examples=500)
@given(history, history, st.integers(1, 12), st.sampled_from([100, 999, 1000, 60_000]), st.integers(0, 10**6))
def test_waiting_exactly_as_long_as_told_gets_in_and_not_a_moment_sooner(
    one: list[int], two: list[int], quota: int, window: int, start: int
) -> None:
    now, buckets = START + start, [Bucket(), Bucket()]
    for bucket, gaps in zip(buckets, (one, two), strict=True):
        moment = now - sum(gaps)
        for gap in gaps:
            moment += gap
            admit([bucket], quota, window, moment)
    verdicts = _at(buckets, quota, window, now)
    if verdicts[0].admitted:
        return
    wait = max(verdict.wait_ms for verdict in verdicts if verdict.full)

    assert _at(buckets, quota, window, now + wait)[0].admitted
    assert _at(buckets, quota, window, now + -(-wait // 1000) * 1000)[0].admitted, "in whole seconds, rounded up"
    assert not _at(buckets, quota, window, now + wait - 1)[0].admitted


def _at(buckets: list[Bucket], quota: int, window: int, now: int) -> list[Verdict]:
    return admit(copy.deepcopy(buckets), quota, window, now)


@given(history, st.integers(1, 12), st.sampled_from([100, 1000, 60_000]))
def test_no_fixed_window_admits_more_than_its_quota(gaps: list[int], quota: int, window: int) -> None:
    bucket, now = Bucket(), START
    admitted: dict[int, int] = {}
    for gap in gaps:
        now += gap
        (verdict,) = admit([bucket], quota, window, now)
        admitted[now // window] = admitted.get(now // window, 0) + verdict.admitted
    assert all(count <= quota for count in admitted.values())


@pytest.mark.parametrize("cost", [4, 100])
def test_what_costs_more_than_there_is_is_never_admitted(cost: int) -> None:
    (verdict,) = admit([Bucket()], 3, 1000, START, cost)
    assert (verdict.admitted, verdict.wait_ms) == (False, 2000)
