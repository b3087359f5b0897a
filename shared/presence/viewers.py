"""Who is live and who watches, in Redis: sorted sets by when somebody is gone if they are not heard of again.

Whoever comes next forgets who is gone (lua/trim.lua): counts are exact whenever they are read, nothing runs in between,
and no key is looked for. A signed-in viewer counts once, however many screens they have; of the anonymous, whose names
are their own to choose, at most 20 of one address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from fastapi import Request

from shared.upstash import keys
from shared.upstash.client import upstash
from shared.upstash.errors import UpstashError
from shared.upstash.scripts import CLOCK, Script, ScriptCall

ALIVE_SECONDS: Final = keys.STREAM.ttl or 0  # three heartbeats
ANONYMOUS_OF_ONE_ADDRESS: Final = 20
_ALIVE_MS: Final = 1000 * ALIVE_SECONDS

_LUA: Final = Path(__file__).parent / "lua"
_TRIM: Final = _LUA / "trim.lua"
_BEAT: Final = Script.read(CLOCK, _TRIM, _LUA / "beat.lua")
_WATCH: Final = Script.read(CLOCK, _TRIM, _LUA / "watch.lua")
_FINISH: Final = Script.read(CLOCK, _TRIM, _LUA / "finish.lua")


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What Redis knows of a live stream; `shown` is JSON that its owner wrote."""

    stream_id: str
    viewers: int
    shown: str
    peak_viewers: int = 0


@dataclass(frozen=True, slots=True)
class Peek:
    """To ride with a gate: what is known of the stream that the request names."""

    stream_of: Callable[[Request], str]
    parts: Sequence[Path] = (_TRIM, _LUA / "peek.lua")

    def keys(self) -> list[str]:
        return _keys()

    def arguments(self, request: Request) -> list[str]:
        return [self.stream_of(request)]


@dataclass(frozen=True, slots=True)
class Page:
    """To ride with a gate: a page of the live streams. `place_of` tells how many, after which count and stream."""

    place_of: Callable[[Request], tuple[int, int | None, str]]
    parts: Sequence[Path] = (_TRIM, _LUA / "list.lua")

    def keys(self) -> list[str]:
        return _keys()

    def arguments(self, request: Request) -> list[str]:
        limit, viewers, stream_id = self.place_of(request)
        return [str(limit), "" if viewers is None else str(viewers), stream_id]


def glimpse_of(ridden: Any, stream_id: str) -> Glimpse | None:
    """What a Peek brought back; None for a stream that Redis does not know to be live."""
    if not isinstance(ridden, list) or len(ridden) != 3:  # noqa: PLR2004 -- as peek.lua says
        return None
    viewers, peak, shown = ridden
    return Glimpse(stream_id, viewers, shown, peak)


def glimpses_of(ridden: Any) -> list[Glimpse] | None:
    """What a Page brought back; None where Redis did not answer."""
    if not isinstance(ridden, list):
        return None
    rows = zip(ridden[::3], ridden[1::3], ridden[2::3], strict=True)
    return [Glimpse(stream_id, viewers, shown) for stream_id, viewers, shown in rows]


def beat(stream_id: str, shown: str) -> ScriptCall:
    """The command that says that a stream is live, and what lists show of it."""
    return _BEAT(_keys(), stream_id, shown, _ALIVE_MS)


def finish(stream_id: str) -> ScriptCall:
    """The command that says that a stream is over, for good: a heartbeat that comes after it is too late."""
    return _FINISH(_keys(), stream_id, _ALIVE_MS)


async def watch(stream_id: str, *, user_id: str | None, address: str, name: str, lost: str | None = None) -> int | None:
    """Count a viewer: a user, or whoever calls themselves `name` at an address. Return how many watch; None when
    the stream is not live. `lost` is what lists show of a stream that Redis must first be told of. Raise UpstashError.
    """
    client = upstash()
    if client is None:
        return None
    crowd = "" if user_id else keys.personal("ip", address)
    whom = f"u:{user_id}" if user_id else f"a:{crowd}:{sha256(name.encode()).hexdigest()[:32]}"
    call = _WATCH(_keys(), stream_id, whom, crowd, ANONYMOUS_OF_ONE_ADDRESS, _ALIVE_MS)
    *_, count = await client.run(*([] if lost is None else [beat(stream_id, lost)]), call)
    if isinstance(count, UpstashError):
        raise count
    return None if count < 0 else int(count)


def _keys() -> list[str]:
    """As trim.lua says."""
    return [keys.key(keys.STREAM, name) for name in ("live", "beats", "counts", "crowds", "peaks", "shown")]
