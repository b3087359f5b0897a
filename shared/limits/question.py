"""What the gate asks of Redis: one script, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from fastapi import Request

from shared.cache import lease
from shared.cache.entry import Fetched
from shared.cache.spaces import LEASE_MS
from shared.limits.admission import verdicts_of
from shared.limits.policies import Policy
from shared.limits.window import Verdict
from shared.upstash.errors import UpstashError
from shared.upstash.scripts import CLOCK, Script, ScriptCall

LUA: Final = Path(__file__).parent / "lua"
_PARTS: Final = (CLOCK, LUA / "admit.lua", lease.LOOKUP, LUA / "gate.lua")
GATE: Final = Script.read(*_PARTS, LUA / "gate_only.lua")


class Read(Protocol):
    """A cache read that rides with admission. `key` is None where the request cannot name a value."""

    def key(self, request: Request) -> str | None: ...


class Ride(Protocol):
    """Parts of a script, of which the last defines `ride(keys, arguments)`, and what it is called with: once the
    request is admitted, in the same trip. Nothing is to be changed by it: who calls is not judged yet."""

    @property
    def parts(self) -> Sequence[Path]: ...

    def keys(self) -> list[str]: ...

    def arguments(self, request: Request) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What Redis knows: a verdict of each tier; each value that was looked up, and what the ride returned."""

    verdicts: list[Verdict]
    values: list[Fetched]
    ridden: Any = None


class Question:
    """The gate's script, with a ride or without."""

    def __init__(self, ride: Ride | None) -> None:
        self._ride = ride
        self._script = GATE if ride is None else Script.read(*_PARTS, *ride.parts, LUA / "gate_ride.lua")

    def ask(self, request: Request, policy: Policy, tiers: list[str], lookups: list[str], token: str) -> ScriptCall:
        limits = [number for _ in tiers for number in (policy.quota, policy.window_ms)]
        leases = [argument for _ in lookups for argument in (token, LEASE_MS)]
        if self._ride is None:
            return self._script([*tiers, *lookups], 1, len(tiers), len(lookups), *limits, *leases)
        more = self._ride.arguments(request)
        keys = [*tiers, *lookups, *self._ride.keys()]
        return self._script(keys, 1, len(tiers), len(lookups), *limits, *leases, *more)

    def understand(self, answer: Any, tiers: int, lookups: list[str], token: str) -> Found:
        """The script's answer. Raise the error that came instead, or ValueError."""
        if isinstance(answer, UpstashError):
            raise answer
        if not isinstance(answer, list) or not answer:
            raise ValueError("not an answer of gate.lua")
        looked_up = answer[1 : 1 + 2 * len(lookups)]
        looked_up += [None] * (2 * len(lookups) - len(looked_up))  # denied: nothing was
        pairs = zip(lookups, looked_up[::2], looked_up[1::2], strict=True)
        rest = answer[1 + 2 * len(lookups) :]
        values = [Fetched.of(key, token, state, raw) for key, state, raw in pairs]
        return Found(verdicts_of(answer[0], tiers), values, rest[0] if rest else None)
