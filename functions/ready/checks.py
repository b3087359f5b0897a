"""`/ready`: can this process reach what the functions need? `/live`: does it run at all?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from shared.cache.flight import Flights
from shared.limits.gate import ungated
from shared.postgres.pool import DatabaseUnavailable, database
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError

CHECK_SECONDS: Final = 2.0  # each; both at once, so that the answer is out within 2.5 s whatever hangs
REMEMBERED_SECONDS: Final = 1.0  # a crowd of probes costs one look
RETRY_SECONDS: Final = 2

NOT_CONFIGURED: Final = "Not configured"

router = APIRouter(dependencies=[ungated("probes must not be refused, and are too cheap to be a flood")])


class Checks(BaseModel):
    database: bool
    redis: bool | Literal["Not configured"]
    timestamp: datetime

    @property
    def passed(self) -> bool:
        return self.database and bool(self.redis)


class ReadyOut(BaseModel):
    status: Literal["ready", "not ready"]
    checks: Checks


class LiveOut(BaseModel):
    status: Literal["live"]


class Watch:
    """The last look at the dependencies, good for a second; whoever comes during a look shares it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[float, Checks] | None = None
        self._flights = Flights()

    def forget(self) -> None:
        self._last = None

    async def checks(self) -> Checks:
        if self._last is not None and self._clock() - self._last[0] < REMEMBERED_SECONDS:
            return self._last[1]
        return await self._flights.once("checks", self._look)

    async def _look(self) -> Checks:
        database_answers, redis_answers = await asyncio.gather(_passes(_ask_database()), _passes(_ask_redis()))
        redis = redis_answers if upstash() is not None else NOT_CONFIGURED
        checks = Checks.model_validate({"database": database_answers, "redis": redis, "timestamp": datetime.now(UTC)})
        self._last = (self._clock(), checks)
        return checks


watch: Final = Watch()


@router.get("/ready", response_model=ReadyOut, responses={503: {"model": ReadyOut, "description": "not ready"}})
async def show_readiness(response: Response) -> ReadyOut:
    """Whether the database and Redis answer. Redis not being configured is healthy; being down is not."""
    checks = await watch.checks()
    if not checks.passed:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return ReadyOut(status="ready" if checks.passed else "not ready", checks=checks)


@router.get("/live", response_model=LiveOut)
async def show_liveness() -> LiveOut:
    """That this process runs. Touches nothing."""
    return LiveOut(status="live")


async def _ask_database() -> None:
    await database().fetchrow("SELECT 1")


async def _ask_redis() -> None:
    client = upstash()
    if client is not None:
        await client.execute(["PING"])


async def _passes(check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except (TimeoutError, DatabaseUnavailable, UpstashError):
        return False
    return True
