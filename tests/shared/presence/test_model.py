"""Presence against a model in a few lines of Python: whatever is done in whatever order, at whatever time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shared.presence import viewers
from tests.shared.presence.presence import ALIVE_MS, Presence, audit

FEW = 3  # anonymous viewers of one address that count, here
IDS = [str(UUID(int=2**127 + number)) for number in range(3)]
STREAMS = st.sampled_from(IDS)
TIMES = [1, 29_999, 30_000, 45_000, ALIVE_MS - 1, ALIVE_MS, 2 * ALIVE_MS]


@dataclass
class Model:
    """Streams and viewers by when they are gone; `now` is the test's."""

    live: dict[str, int] = field(default_factory=dict)
    over: dict[str, int] = field(default_factory=dict)
    watching: dict[tuple[str, str, str], int] = field(default_factory=dict)  # stream, address or "", name
    peaks: dict[str, int] = field(default_factory=dict)

    def trim(self, now: int) -> None:
        self.live = {one: at for one, at in self.live.items() if at > now}
        self.over = {one: at for one, at in self.over.items() if at > now}
        self.watching = {one: at for one, at in self.watching.items() if at > now}
        self.forget()

    def forget(self) -> None:
        self.peaks = {one: peak for one, peak in self.peaks.items() if one in self.live or self.count(one)}

    def count(self, stream: str) -> int:
        return sum(viewer[0] == stream for viewer in self.watching)

    def watch(self, stream: str, address: str, name: str, now: int) -> int | None:
        if stream not in self.live:
            return None
        viewer = (stream, address, name)
        crowd = sum(one[:2] == (stream, address) for one in self.watching)
        if viewer in self.watching or not address or crowd < FEW:
            self.watching[viewer] = now + ALIVE_MS
        self.peaks[stream] = max(self.peaks.get(stream, 0), self.count(stream))
        return self.count(stream)

    def listed(self) -> list[tuple[str, int]]:
        return sorted(((one, self.count(one)) for one in self.live), key=lambda row: (row[1], row[0]), reverse=True)


class Machine(RuleBasedStateMachine):
    """What may be done to both, and what each must say then."""

    new_presence: ClassVar[Callable[[], Presence]]

    def __init__(self) -> None:
        super().__init__()
        self.presence, self.model = type(self).new_presence(), Model()

    @rule(milliseconds=st.sampled_from(TIMES))
    def time_passes(self, milliseconds: int) -> None:
        self.presence.pass_time(milliseconds)

    @rule(milliseconds=st.sampled_from([15_000, 30_000, 60_000]), streams=st.lists(STREAMS, max_size=3))
    def all_beat_and_time_passes(self, milliseconds: int, streams: list[str]) -> None:
        for stream in streams or IDS:
            self.beat(stream)
        self.presence.pass_time(milliseconds)

    @rule(stream=STREAMS)
    def beat(self, stream: str) -> None:
        self.model.trim(self.presence.now)
        assert self.presence.beat(stream, f"shown {self.presence.now}") == (stream not in self.model.over)
        if stream not in self.model.over:
            self.model.live[stream] = self.presence.now + ALIVE_MS

    @rule(stream=STREAMS)
    def finish(self, stream: str) -> None:
        self.presence.finish(stream)
        self.model.live.pop(stream, None)
        self.model.over[stream] = self.presence.now + ALIVE_MS
        self.model.forget()

    @rule(stream=STREAMS, users=st.lists(st.sampled_from(["u1", "u2", "u3"]), min_size=1), name=st.sampled_from("ab"))
    def users_watch(self, stream: str, users: list[str], name: str) -> None:
        for user in users:
            self.model.trim(self.presence.now)
            expected = self.model.watch(stream, "", user, self.presence.now)
            assert self.presence.watch(stream, user=user, name=name) == expected

    @rule(
        stream=STREAMS,
        address=st.sampled_from(["192.0.2.1", "192.0.2.2"]),
        names=st.lists(st.sampled_from("abcdef"), min_size=1),
    )
    def some_watch(self, stream: str, address: str, names: list[str]) -> None:
        for name in names:
            self.model.trim(self.presence.now)
            expected = self.model.watch(stream, address, name, self.presence.now)
            assert self.presence.watch(stream, address=address, name=name) == expected

    @rule(stream=STREAMS)
    def peek(self, stream: str) -> None:
        self.model.trim(self.presence.now)
        found = self.presence.peek(stream)
        if stream in self.model.live:
            assert found is not None
            assert (found.viewers, found.peak_viewers) == (
                self.model.count(stream),
                self.model.peaks.get(stream, 0),
            )
            assert found.shown.startswith("shown ")
        else:
            assert found is None

    @rule(limit=st.integers(1, 5))
    def list_them(self, limit: int) -> None:
        self.model.trim(self.presence.now)
        assert [(one.stream_id, one.viewers) for one in self.presence.pages(limit)] == self.model.listed()

    @invariant()
    def keys_agree(self) -> None:
        audit(self.presence.redis)


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_redis_says_what_the_model_says(presence: Presence, fresh_process: pytest.MonkeyPatch, examples: int) -> None:
    fresh_process.setattr(viewers, "ANONYMOUS_OF_ONE_ADDRESS", FEW)

    def new_presence() -> Presence:
        presence.redis.run([["FLUSHALL"]])
        new = Presence(presence.redis)
        fresh_process.setattr(viewers, "upstash", lambda: new)
        return new

    fresh_process.setattr(Machine, "new_presence", staticmethod(new_presence), raising=False)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
