"""The gate: one FastAPI dependency a route, and one trip for all that must be known before its body runs.

Admission by all tiers and the declared cache read are one script. Nothing is computed or queried before admission, and
a request that was denied a moment ago is denied again without a trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from fastapi import Depends, Request

from shared import telemetry
from shared.cache import lease
from shared.cache.entry import Fetched
from shared.cache.spaces import LEASE_MS
from shared.http.problems import RateLimited, RateLimiterUnavailable
from shared.limits.admission import Admission, verdicts_of
from shared.limits.local import BlockList, MemoryLimiter
from shared.limits.policies import Policy, WhenOut
from shared.limits.tiers import Tiers, UserOf
from shared.limits.usage import Usage
from shared.limits.window import Verdict
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError, UpstashUnavailable
from shared.upstash.scripts import CLOCK, Script

LUA: Final = Path(__file__).parent / "lua"
GATE: Final = Script.read(CLOCK, LUA / "admit.lua", lease.LOOKUP, LUA / "gate.lua")
RETRY_SECONDS: Final = 5  # on a closed policy: one deadline and the breaker's 2 s have passed by then

blocked: Final = BlockList()
stand_in: Final = MemoryLimiter()
usage: Final = Usage()


class Read(Protocol):
    """A cache read that rides with admission. `key` is None where the request cannot name a value."""

    def key(self, request: Request) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """What the gate knows of an admitted request."""

    admission: Admission
    fetched: Fetched
    if_none_match: str  # every such header as one list, as RFC 9110 5.3 reads them


class NoVerdict(Exception):
    """Redis did not decide: it is out of reach, not configured, or answered something else."""


class Gate:
    """`gate(POLICY, ...)` as FastAPI calls it. Architecture tests find it by its type."""

    def __init__(self, policy: Policy, read: Read | None, bucket: str | None, user_of: UserOf | None) -> None:
        self.policy = policy
        self._read = read
        self._tiers = Tiers(policy, bucket, user_of)

    async def __call__(self, request: Request) -> Call:
        tiers = await self._tiers.keys(request)
        self._refuse_blocked(tiers)
        read_key = self._read.key(request) if self._read else None
        degraded = False
        try:
            verdicts, fetched = await self._ask(tiers, read_key)
        except NoVerdict:
            verdicts, fetched, degraded = self._ask_locally(tiers), Fetched(read_key), True
        full = {key: verdict.wait_ms for key, verdict in zip(tiers, verdicts, strict=True) if verdict.full}
        for key, wait_ms in ({} if degraded else full).items():
            blocked.block(key, wait_ms)
        admission = Admission.of(self.policy, verdicts, degraded=degraded)
        usage.note(self.policy, allowed=admission.allowed, identity=next(iter(full), ""))
        if not admission.allowed:
            raise _denied(admission)
        _announce(admission)
        return Call(admission, fetched, ", ".join(request.headers.getlist("if-none-match")))

    def _refuse_blocked(self, tiers: list[str]) -> None:
        waits = {key: wait for key in tiers if (wait := blocked.wait_ms(key))}
        if waits:
            longest = max(waits, key=waits.__getitem__)
            usage.note(self.policy, allowed=False, identity=longest)
            raise _denied(Admission(self.policy, allowed=False, remaining=0, wait_ms=waits[longest]))

    async def _ask(self, tiers: list[str], read_key: str | None) -> tuple[list[Verdict], Fetched]:
        """One trip: every tier, the read, and the usage counts that are due. Raise NoVerdict."""
        client = upstash()
        if client is None:
            raise NoVerdict
        call, token = self._script_call(tiers, read_key)
        counts = usage.take()
        try:
            answer, *_ = await client.run(call, *(counts.commands() if counts else ()))
            verdicts, fetched = _understood(answer, len(tiers), read_key, token)
        except UpstashUnavailable as error:
            if counts and not error.maybe_applied:
                counts.not_sent()
            raise NoVerdict from error
        except (UpstashError, ValueError) as error:
            telemetry.logger().error("the limiter got no verdict: %s", error)  # no outage: it will not pass by itself
            raise NoVerdict from error
        return verdicts, fetched

    def _script_call(self, tiers: list[str], read_key: str | None) -> tuple[Any, str]:
        limits = [number for _ in tiers for number in (self.policy.quota, self.policy.window_ms)]
        if read_key is None:
            return GATE(tiers, 1, len(tiers), *limits), ""
        token = lease.token()
        return GATE([*tiers, read_key], 1, len(tiers), *limits, token, LEASE_MS), token

    def _ask_locally(self, tiers: list[str]) -> list[Verdict]:
        if self.policy.when_out is WhenOut.CLOSED:
            raise RateLimiterUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
        return stand_in.admit(self.policy, tiers)


@dataclass(frozen=True, slots=True)
class Ungated:
    """A route without a limit, and why that is right."""

    reason: str

    async def __call__(self) -> None:
        return None


def gate(policy: Policy, *, read: Read | None = None, bucket: str | None = None, user_of: UserOf | None = None) -> Any:
    """Admit, and read, in one trip: `call: Annotated[Call, gate(PUBLIC, read=profiles.at("username"))]`.

    A policy's operations may each have a `bucket` of their own. `user_of` tells who calls, for policies that count
    users. Raise RateLimited (429), Unauthenticated (401) where a user is a must and there is none, or
    RateLimiterUnavailable (503) where the limiter is out of reach and the policy is closed then.
    """
    return Depends(Gate(policy, read, bucket, user_of))


def ungated(reason: str) -> Any:
    """Declare that a route has no limit: `dependencies=[ungated("liveness must not depend on anything")]`."""
    return Depends(Ungated(reason))


def _understood(answer: Any, tiers: int, read_key: str | None, token: str) -> tuple[list[Verdict], Fetched]:
    """The script's answer. Raise the error that came instead, or ValueError."""
    if isinstance(answer, UpstashError):
        raise answer
    if not isinstance(answer, list) or not answer:
        raise ValueError("not an answer of gate.lua")
    verdicts = verdicts_of(answer[0], tiers)
    state, raw = answer[1:] if len(answer) == 3 else (None, None)  # noqa: PLR2004 -- denied, or nothing to look up
    return verdicts, Fetched(read_key) if read_key is None else Fetched.of(read_key, token, state, raw)


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
