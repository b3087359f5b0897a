"""The outcome of asking the limiter, and the headers that tell the caller: allowed, denied or degraded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.limits.policies import Policy
from shared.limits.window import Verdict


@dataclass(frozen=True, slots=True)
class Admission:
    """What the tiers of a policy said together. Seconds are rounded up: whoever waits that long is let in."""

    policy: Policy
    allowed: bool
    remaining: int
    wait_ms: int
    degraded: bool = False  # decided by the memory limiter, since Upstash is out or not configured

    @property
    def wait_seconds(self) -> int:
        return -(-self.wait_ms // 1000)

    @classmethod
    def of(cls, policy: Policy, verdicts: list[Verdict], *, degraded: bool = False) -> Admission:
        """The tighter tier speaks for all: the least left, and among equals the longest to wait."""
        tightest = min(verdicts, key=lambda verdict: (verdict.remaining, -verdict.wait_ms))
        return cls(policy, tightest.admitted, tightest.remaining, tightest.wait_ms, degraded)

    def headers(self) -> dict[str, str]:
        """`RateLimit` as in draft-ietf-httpapi-ratelimit-headers, and the older `X-RateLimit-*`."""
        name, quota = self.policy.name, self.policy.quota
        headers = {
            "RateLimit-Policy": f'"{name}";q={quota};w={self.policy.window}',
            "RateLimit": f'"{name}";r={self.remaining};t={self.wait_seconds}',
            "X-RateLimit-Limit": str(quota),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.wait_seconds),
        }
        if self.degraded:
            headers["X-RateLimit-Mode"] = "local"
        return headers


def verdicts_of(answer: Any, tiers: int) -> list[Verdict]:
    """What admit.lua answered, as one verdict a tier. Raise ValueError for anything else."""
    if not isinstance(answer, list) or len(answer) != 1 + 2 * tiers or not all(isinstance(n, int) for n in answer):
        raise ValueError("not an answer of admit.lua")
    admitted, pairs = answer[0] == 1, answer[1:]
    return [Verdict(admitted, remaining, wait) for remaining, wait in zip(pairs[::2], pairs[1::2], strict=True)]
