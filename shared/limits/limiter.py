"""Our window as a limiter of upstash_ratelimit: `Ratelimit(redis, TierLimiter(PAYMENT)).limit("203.0.113.7|user-1")`.

For code that is written against that library. The gate does the same in the trip that it makes anyway.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from upstash_ratelimit.limiter import Limiter, Response

from shared.limits.admission import Admission, verdicts_of
from shared.limits.policies import Policy
from shared.upstash.scripts import CLOCK, Script

LUA: Final = Path(__file__).parent / "lua"
ADMIT: Final = Script.read(CLOCK, LUA / "admit.lua", LUA / "admit_only.lua")
SEPARATOR: Final = "|"


class TierLimiter(Limiter):
    """All tiers, written with `|` between them, pass or nothing is charged. One request each; times by Redis's clock.

    `reset` is when one more would be admitted, as Unix seconds of the caller's clock.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def limit(self, redis: Any, identifier: str, rate: int = 1) -> Response:
        return self._response(redis.execute(self._command(identifier, rate)))

    async def limit_async(self, redis: Any, identifier: str, rate: int = 1) -> Response:
        return self._response(await redis.execute(self._command(identifier, rate)))

    def get_remaining(self, redis: Any, identifier: str) -> int:
        return self.limit(redis, identifier, 0).remaining

    async def get_remaining_async(self, redis: Any, identifier: str) -> int:
        return (await self.limit_async(redis, identifier, 0)).remaining

    def get_reset(self, redis: Any, identifier: str) -> float:
        return self.limit(redis, identifier, 0).reset

    async def get_reset_async(self, redis: Any, identifier: str) -> float:
        return (await self.limit_async(redis, identifier, 0)).reset

    def _command(self, identifier: str, cost: int) -> list[Any]:
        tiers = identifier.split(SEPARATOR)
        numbers = [number for _ in tiers for number in (self._policy.quota, self._policy.window_ms)]
        return ["EVAL", ADMIT.source, len(tiers), *tiers, cost, *numbers]

    def _response(self, answer: Any) -> Response:
        admission = Admission.of(self._policy, verdicts_of(answer, (len(answer) - 1) // 2))
        reset = time.time() + admission.wait_ms / 1000
        return Response(admission.allowed, self._policy.quota, admission.remaining, reset)
