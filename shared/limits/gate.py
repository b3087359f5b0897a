"""The gate: one FastAPI dependency a route, and one trip for all that must be known before its body runs.

Admission (all tiers) and the declared cache read leave as one batch. Nothing is computed or queried before
admission, and a request that was denied a moment ago is denied again without a trip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from fastapi import Depends, Request

from shared import telemetry
from shared.http.identity import client_address
from shared.http.problems import RateLimited, RateLimiterUnavailable
from shared.limits.admission import Admission, verdicts_of
from shared.limits.local import BlockList, MemoryLimiter
from shared.limits.policies import Policy, Tier, WhenOut
from shared.limits.window import Verdict
from shared.upstash import keys
from shared.upstash.batch import Command
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError, UpstashUnavailable
from shared.upstash.scripts import Script

ADMIT: Final = Script.read(Path(__file__).parent / "lua" / "admit.lua")
RETRY_SECONDS: Final = 5  # on a closed policy: one deadline and the breaker's 2 s have passed by then

blocked: Final = BlockList()
stand_in: Final = MemoryLimiter()


class Read(Protocol):
    """A cache read that rides with admission. `key` is None where the request cannot name a value."""

    def key(self, request: Request) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a declared read brought back: the raw value, or None for nothing there or nobody answering."""

    key: str | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What the gate knows of an admitted request."""

    admission: Admission
    fetched: Fetched
    if_none_match: str | None


# The user and account tiers join with the sessions and sign-in that they name.
_IDENTITY: Final[dict[Tier, Callable[[Request], str]]] = {
    Tier.IP: lambda request: keys.personal("ip", client_address(request.scope)),
}


class NoVerdict(Exception):
    """Redis did not decide: it is out of reach, not configured, or answered something else."""


class Gate:
    """`gate(POLICY, ...)` as FastAPI calls it. Architecture tests find it by its type."""

    def __init__(self, policy: Policy, read: Read | None, bucket: str | None) -> None:
        missing = [tier for tier in policy.tiers if tier not in _IDENTITY]
        if missing:
            raise NotImplementedError(f"not built yet: the tiers {missing} of {policy.name}")
        self.policy = policy
        self._read = read
        self._family = policy.name if bucket is None else f"{policy.name}.{bucket}"

    async def __call__(self, request: Request) -> Call:
        tiers = [keys.key(keys.RATE, self._family, tier, _IDENTITY[tier](request)) for tier in self.policy.tiers]
        self._refuse_blocked(tiers)
        read_key = self._read.key(request) if self._read else None
        try:
            verdicts, raw = await self._ask(tiers, read_key)
        except NoVerdict:
            admission, raw = self._ask_locally(tiers), None
        else:
            admission = Admission.of(self.policy, verdicts)
            for key, verdict in zip(tiers, verdicts, strict=True):
                if verdict.full:
                    blocked.block(key, verdict.wait_ms)
        if not admission.allowed:
            raise _denied(admission)
        _announce(admission)
        return Call(admission, Fetched(read_key, raw), request.headers.get("if-none-match"))

    def _refuse_blocked(self, tiers: list[str]) -> None:
        wait = max(blocked.wait_ms(key) for key in tiers)
        if wait:
            raise _denied(Admission(self.policy, allowed=False, remaining=0, wait_ms=wait))

    async def _ask(self, tiers: list[str], read_key: str | None) -> tuple[list[Verdict], str | None]:
        """One trip: every tier, and the read. Raise NoVerdict where Redis did not decide."""
        client = upstash()
        if client is None:
            raise NoVerdict
        arguments = [argument for _ in tiers for argument in (self.policy.quota, self.policy.window_ms)]
        commands: list[Command] = [ADMIT(tiers, 1, *arguments)]
        if read_key is not None:
            commands.append(["GET", read_key])
        try:
            answer, *reads = await client.run(*commands)
            verdicts = verdicts_of(answer)
        except UpstashUnavailable as error:
            raise NoVerdict from error
        except (UpstashError, ValueError) as error:
            telemetry.logger().error("the limiter got no verdict: %s", error)  # no outage: it will not pass by itself
            raise NoVerdict from error
        raw = reads[0] if reads and isinstance(reads[0], str) else None  # a cache error is a miss
        return verdicts, raw

    def _ask_locally(self, tiers: list[str]) -> Admission:
        if self.policy.when_out is WhenOut.CLOSED:
            raise RateLimiterUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
        return Admission.of(self.policy, stand_in.admit(self.policy, tiers), degraded=True)


@dataclass(frozen=True, slots=True)
class Ungated:
    """A route without a limit, and why that is right."""

    reason: str

    async def __call__(self) -> None:
        return None


def gate(policy: Policy, *, read: Read | None = None, bucket: str | None = None) -> Any:
    """Admit, and read, in one trip: `call: Annotated[Call, gate(PUBLIC, read=profiles.at("username"))]`.

    A policy's operations may each have a `bucket` of their own. Raise RateLimited (429), or
    RateLimiterUnavailable (503) where the limiter is out of reach and the policy is closed then.
    """
    return Depends(Gate(policy, read, bucket))


def ungated(reason: str) -> Any:
    """Declare that a route has no limit: `dependencies=[ungated("liveness must not depend on anything")]`."""
    return Depends(Ungated(reason))


def _announce(admission: Admission) -> None:
    """Put the limit's headers on whatever this request will be answered."""
    if record := telemetry.current():
        record.headers.update(admission.headers())
        if admission.degraded:
            record.outcome = "degraded"


def _denied(admission: Admission) -> RateLimited:
    _announce(admission)
    if record := telemetry.current():
        record.outcome = "denied"
    return RateLimited(headers={"Retry-After": str(admission.wait_seconds)})
