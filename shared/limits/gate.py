"""The gate: one FastAPI dependency a route, and one trip for all that must be known before its body runs.

Admission by all tiers, the session and the declared cache read are one script. Nothing is computed or queried before
admission, and a request that was denied a moment ago, or has no session where one is a must, makes no trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from fastapi import Depends, Request

from shared import sessions, telemetry
from shared.cache import lease
from shared.cache.entry import Fetched
from shared.http.problems import RateLimited, RateLimiterUnavailable, Unauthenticated
from shared.limits.admission import Admission
from shared.limits.local import BlockList, MemoryLimiter
from shared.limits.policies import Policy, WhenOut
from shared.limits.question import Found, Question, Read, Ride
from shared.limits.tiers import Tiers, UserOf
from shared.limits.usage import Usage
from shared.limits.window import Verdict
from shared.postgres import outbox
from shared.sessions import Presented, Session
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError, UpstashUnavailable

RETRY_SECONDS: Final = 5  # on a closed policy: one deadline and the breaker's 2 s have passed by then

blocked: Final = BlockList()
stand_in: Final = MemoryLimiter()
usage: Final = Usage()


@dataclass(frozen=True, slots=True)
class Call:
    """What the gate knows of an admitted request."""

    admission: Admission
    fetched: Fetched  # the declared read, or the first of several
    if_none_match: str  # every such header as one list, as RFC 9110 5.3 reads them
    session: Session | None = None
    others: tuple[Fetched, ...] = ()  # the other declared reads
    ridden: Any = None  # what the ride returned; None where Redis did not answer


@dataclass(frozen=True, slots=True)
class UserCall(Call):
    """The call of somebody who is signed in."""

    session: Session

    @property
    def user_id(self) -> str:
        return self.session.user_id


class Who(Enum):
    """Whether a route asks who calls."""

    ANYONE = "anyone"  # a session is not looked at
    MAYBE_USER = "maybe"  # a session counts where one is sent; one that is not good is refused
    USER = "user"  # a session is a must


class NoVerdict(Exception):
    """Redis did not decide: it is out of reach, not configured, or answered something else."""


class Gate:
    """`gate(POLICY, ...)` as FastAPI calls it. Architecture tests find it by its type."""

    def __init__(
        self,
        policy: Policy,
        reads: Sequence[Read],
        bucket: str | None,
        user_of: UserOf | None,
        who: Who = Who.ANYONE,
        ride: Ride | None = None,
    ) -> None:
        self.policy = policy
        self.who = who
        self._reads = reads
        self._question = Question(ride)
        self._tiers = Tiers(policy, bucket, user_of or (None if who is Who.ANYONE else _user_of))

    async def __call__(self, request: Request) -> Call:
        known = self._presented(request)
        tiers = await self._tiers.keys(request)
        self._refuse_blocked(tiers)
        read_keys = [read.key(request) for read in self._reads]
        lookups = [key for key in (known.key if known else None, *read_keys) if key is not None]
        degraded, asked_at_ms = False, blocked.clock_ms()
        try:
            found = await self._ask(request, tiers, lookups)
        except NoVerdict:
            found, degraded = Found(self._ask_locally(tiers), [Fetched(key) for key in lookups]), True
        full = {key: verdict.wait_ms for key, verdict in zip(tiers, found.verdicts, strict=True) if verdict.full}
        for key, wait_ms in ({} if degraded else full).items():
            blocked.block(key, wait_ms, since_ms=asked_at_ms)
        admission = Admission.of(self.policy, found.verdicts, degraded=degraded)
        usage.note(self.policy, allowed=admission.allowed, identity=next(iter(full), ""))
        if not admission.allowed:
            raise _denied(admission)
        _announce(admission)
        values = iter(found.values)
        session = None
        if known is not None and (session := await sessions.judge(next(values), known)) is None:
            raise Unauthenticated
        fetched, *others = [Fetched() if key is None else next(values) for key in read_keys] or [Fetched()]
        if_none_match = ", ".join(request.headers.getlist("if-none-match"))
        if session is None:
            return Call(admission, fetched, if_none_match, None, tuple(others), found.ridden)
        return UserCall(admission, fetched, if_none_match, session, tuple(others), found.ridden)

    def _presented(self, request: Request) -> Presented | None:
        """Whose request it says to be. Raise Unauthenticated without a trip where that cannot be true."""
        if self.who is Who.ANYONE:
            return None
        known = sessions.presented(request)
        if known is None and (self.who is Who.USER or sessions.sent(request.headers) is not None):
            raise Unauthenticated
        return known

    def _refuse_blocked(self, tiers: list[str]) -> None:
        waits = {key: wait for key in tiers if (wait := blocked.wait_ms(key))}
        if waits:
            longest = max(waits, key=waits.__getitem__)
            usage.note(self.policy, allowed=False, identity=longest)
            raise _denied(Admission(self.policy, allowed=False, remaining=0, wait_ms=waits[longest]))

    async def _ask(self, request: Request, tiers: list[str], lookups: list[str]) -> Found:
        """One trip: every tier, the lookups, and what rides along: late drops, due usage counts. Raise NoVerdict."""
        client = upstash()
        if client is None:
            raise NoVerdict
        token = lease.token()
        call = self._question.ask(request, self.policy, tiers, lookups, token)
        late, counts = outbox.take_undelivered(), usage.take()
        drops = [["DEL", *late]] if late else []  # before the lookups, which must not find what should be gone
        try:
            answers = await client.run(*drops, call, *(counts.commands() if counts else ()))
            return self._question.understand(answers[len(drops)], len(tiers), lookups, token)
        except UpstashUnavailable as error:
            outbox.give_back(late)
            if counts and not error.maybe_applied:
                counts.not_sent()
            raise NoVerdict from error
        except (UpstashError, ValueError) as error:
            telemetry.logger().error("the limiter got no verdict: %s", error)  # no outage: it will not pass by itself
            raise NoVerdict from error

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


def gate(
    policy: Policy,
    *,
    read: Read | tuple[Read, ...] = (),
    ride: Ride | None = None,
    bucket: str | None = None,
    session: bool | None = False,
    user_of: UserOf | None = None,
) -> Any:
    """Admit, and read, in one trip: `call: Annotated[UserCall, gate(API, session=True, read=users.OF_CALLER)]`.

    `session`: True where one is a must (`UserCall`), None where one may be sent (`Call`). A policy's operations may
    each have a `bucket` of their own. `user_of` tells who calls where it is not the session that does. A `ride` is a
    part of a script that runs with it, once the request is admitted. Raise RateLimited (429), Unauthenticated (401), or
    RateLimiterUnavailable (503) where the limiter is out of reach and the policy is closed then.
    """
    who = Who.MAYBE_USER if session is None else Who.USER if session else Who.ANYONE
    reads = read if isinstance(read, tuple) else (read,)
    return Depends(Gate(policy, reads, bucket, user_of, who, ride))


def ungated(reason: str) -> Any:
    """Declare that a route has no limit: `dependencies=[ungated("liveness must not depend on anything")]`."""
    return Depends(Ungated(reason))


def _user_of(request: Request) -> str | None:
    known = sessions.presented(request)
    return known.user_id if known else None


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
