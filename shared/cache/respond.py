"""A cached body as an HTTP response: bytes out, ETag, `X-Cache`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Response
from pydantic import BaseModel

from shared import telemetry
from shared.cache.space import Answer, Space
from shared.http.problems import NotFound, Problem
from shared.limits.gate import Call

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Revalidated:
    """HTTP caching for a public representation: kept by anyone, asked about each time, by ETag.

    With `cdn_seconds` a CDN may answer by itself for as long, and then nothing about one caller is on the answer.
    """

    cdn_seconds: int = 0


async def respond(
    space: Space[M],
    call: Call,
    load: Callable[[], Awaitable[M | None]],
    *,
    absent: type[Problem] = NotFound,
    revalidated: Revalidated | None = None,
) -> Response:
    """Answer from what the gate fetched, or from `load`. Raise `absent` where there is nothing to show."""
    answer = await space.answer(call.fetched, load)
    _note(answer)
    if answer.entry.body is None:
        raise absent(headers={"X-Cache": answer.outcome})
    headers = {"X-Cache": answer.outcome}
    if revalidated is not None:
        headers |= _revalidation(answer.entry.etag, revalidated)
        if _matches(call.if_none_match, answer.entry.etag):
            return Response(status_code=304, headers=headers)
    return Response(answer.entry.body, media_type="application/json", headers=headers)


def _revalidation(etag: str, rule: Revalidated) -> dict[str, str]:
    headers = {"ETag": f'"{etag}"', "Cache-Control": "public, max-age=0, must-revalidate"}
    if rule.cdn_seconds:
        headers["CDN-Cache-Control"] = f"public, max-age={rule.cdn_seconds}"
        if record := telemetry.current():
            record.anonymous = True
    return headers


def _matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110 13.1.2: a list of tags, compared weakly, or `*` for any."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or f'"{etag}"' in tags


def _note(answer: Answer) -> None:
    record = telemetry.current()
    if record and record.outcome != "degraded":
        record.outcome = answer.outcome
