"""A cached body as an HTTP response: bytes out, ETag, `X-Cache`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Response
from pydantic import BaseModel

from shared import telemetry
from shared.cache.space import Answer, Space
from shared.http.problems import NotFound, Problem
from shared.limits.gate import Call

_OUTCOMES: Final = ("hit", "stale", "miss")
_TAG: Final = re.compile(r'(?:^|,)\s*(?:W/)?"([^"]*)"\s*(?=,|$)')

M = TypeVar("M", bound=BaseModel)


NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "unchanged since the ETag that was sent"}}


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
    _note(answer.outcome)
    if answer.entry.body is None:
        raise absent(headers={"X-Cache": answer.outcome})
    headers = {"X-Cache": answer.outcome}
    if revalidated is not None:
        headers |= _revalidation(answer.entry.etag, revalidated)
        if _matches(call.if_none_match, answer.entry.etag):
            return Response(status_code=304, headers=headers)
    return Response(answer.entry.body, media_type="application/json", headers=headers)


def respond_with(body: BaseModel | None, parts: Sequence[Answer], *, absent: type[Problem] = NotFound) -> Response:
    """Answer with what was made of several cached parts. `X-Cache`: hit when all of them are, miss when one was
    computed, else stale. Raise `absent` where there is nothing to show."""
    outcome = max((part.outcome for part in parts), key=_OUTCOMES.index)
    _note(outcome)
    headers = {"X-Cache": outcome}
    if body is None:
        raise absent(headers=headers)
    return Response(body.model_dump_json(by_alias=True), media_type="application/json", headers=headers)


def _revalidation(etag: str, rule: Revalidated) -> dict[str, str]:
    headers = {"ETag": f'"{etag}"', "Cache-Control": "public, max-age=0, must-revalidate"}
    if rule.cdn_seconds:
        headers["CDN-Cache-Control"] = f"public, max-age={rule.cdn_seconds}"
        if record := telemetry.current():
            record.anonymous = True
    return headers


def _matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110 13.1.2: a list of tags, compared weakly, or `*` for any."""
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def _note(outcome: str) -> None:
    record = telemetry.current()
    if record and record.outcome != "degraded":
        record.outcome = outcome
