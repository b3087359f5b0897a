"""What one process remembers: bounded, and forgotten in time."""

from __future__ import annotations

from shared.limits import policies
from shared.limits.local import MOST_BLOCKED_MS, MOST_IDENTITIES, BlockList, MemoryLimiter


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def test_wait_begins_when_redis_was_asked_however_late_the_answer_came() -> None:
    clock = Clock()
    blocked = BlockList(clock)
    clock.now += 300
    blocked.block("a", 1999, since_ms=clock.now - 300)
    clock.now += 1699
    assert blocked.wait_ms("a") == 0


def test_blocked_for_the_wait_and_no_longer() -> None:
    clock = Clock()
    blocked = BlockList(clock)
    blocked.block("a", 3000, since_ms=0)
    clock.now = 2999
    assert (blocked.wait_ms("a"), blocked.wait_ms("b")) == (1, 0)
    clock.now = 3000
    assert blocked.wait_ms("a") == 0


def test_long_wait_is_remembered_for_ten_seconds_and_told_in_full() -> None:
    clock = Clock()
    blocked = BlockList(clock)
    blocked.block("a", 900_000, since_ms=0)
    clock.now = MOST_BLOCKED_MS - 1
    assert blocked.wait_ms("a") == 900_000 - MOST_BLOCKED_MS + 1
    clock.now = MOST_BLOCKED_MS
    assert blocked.wait_ms("a") == 0


def test_flood_of_identities_pushes_out_the_oldest() -> None:
    blocked = BlockList(Clock())
    for number in range(MOST_IDENTITIES + 1):
        blocked.block(str(number), 5000, since_ms=0)
    assert blocked.wait_ms("0") == 0
    assert blocked.wait_ms("1") == blocked.wait_ms(str(MOST_IDENTITIES)) == 5000
    assert len(blocked._blocked) == MOST_IDENTITIES


def test_memory_limiter_is_bounded_and_keeps_whoever_is_active() -> None:
    clock = Clock()
    limiter = MemoryLimiter(clock)
    for number in range(MOST_IDENTITIES):
        limiter.admit(policies.UPLOAD, [str(number)])
    limiter.admit(policies.UPLOAD, ["0"])
    limiter.admit(policies.UPLOAD, ["another"])
    (verdict,) = limiter.admit(policies.UPLOAD, ["0"])
    assert verdict.remaining == policies.UPLOAD.quota - 3
    assert len(limiter._buckets) == MOST_IDENTITIES


def test_memory_limiter_charges_all_tiers_or_none() -> None:
    limiter = MemoryLimiter(Clock())
    for _ in range(policies.PAYMENT.quota):
        limiter.admit(policies.PAYMENT, ["ip", "one"])
    denied = limiter.admit(policies.PAYMENT, ["ip", "two"])
    (alone,) = limiter.admit(policies.PAYMENT, ["two"])
    assert [verdict.admitted for verdict in denied] == [False, False]
    assert [verdict.full for verdict in denied] == [True, False]
    assert alone.remaining == policies.PAYMENT.quota - 1
