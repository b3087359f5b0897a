"""The routes of streams: begun, kept alive, watched, listed, ended."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import Path, Query, Request
from pydantic import ValidationError

from functions.streams import service
from functions.streams.schemas import StreamIn, StreamOut, StreamsOut, ViewerIn, ViewersOut
from shared.http.identity import client_address
from shared.http.problems import (
    AccountInactive,
    AlreadyLive,
    Forbidden,
    InvalidCursor,
    NotACreator,
    StreamNotFound,
    Unauthenticated,
    UpstreamUnavailable,
    problems,
)
from shared.http.queries import PageQuery
from shared.http.strict import strict_router
from shared.limits.gate import Call, UserCall, gate
from shared.limits.policies import PUBLIC, STREAMING
from shared.presence import viewers
from shared.presence.viewers import Page, Peek

router = strict_router("streams")

StreamId = Annotated[UUID, Path()]


def _named(request: Request) -> str:
    """The stream that the path names, as we write ids; what is none is nobody's."""
    try:
        return str(UUID(request.path_params["stream_id"]))
    except ValueError:
        return ""


def _place(request: Request) -> tuple[int, int | None, str]:
    """What the list is asked for, and one more; nothing where the query is not one: validation will say why."""
    try:
        query = PageQuery.model_validate(dict(request.query_params))
        after = service.place_of(query)
    except (ValidationError, InvalidCursor):
        return 0, None, ""
    return query.limit + 1, *((None, "") if after is None else (after.value, str(after.row_id)))


_PEEK: Final = Peek(_named)
_PAGE: Final = Page(_place)
_NOT_THEIRS: Final = problems(Unauthenticated, Forbidden, StreamNotFound, UpstreamUnavailable)


@router.post(
    "",
    status_code=201,
    responses=problems(Unauthenticated, NotACreator, AccountInactive, AlreadyLive, UpstreamUnavailable),
)
async def start_stream(body: StreamIn, call: Annotated[UserCall, gate(STREAMING, session=True)]) -> StreamOut:
    """Go live. A heartbeat every 30 s keeps the stream alive; 90 s without one end it."""
    return await service.start(call.user_id, body.title)


@router.get("/live", responses=problems(InvalidCursor, UpstreamUnavailable))
async def list_streams(
    query: Annotated[PageQuery, Query()], call: Annotated[Call, gate(PUBLIC, ride=_PAGE)]
) -> StreamsOut:
    """Who is live, the most watched first."""
    return await service.list_live(query, viewers.glimpses_of(call.ridden))


@router.get("/{stream_id}", responses=problems(StreamNotFound, UpstreamUnavailable))
async def show_stream(stream_id: StreamId, call: Annotated[Call, gate(PUBLIC, ride=_PEEK)]) -> StreamOut:
    """A stream, live or over."""
    return await service.find(str(stream_id), viewers.glimpse_of(call.ridden, str(stream_id)))


@router.post("/{stream_id}/heartbeat", status_code=204, responses=_NOT_THEIRS)
async def keep_alive(stream_id: StreamId, call: Annotated[UserCall, gate(STREAMING, session=True, ride=_PEEK)]) -> None:
    """The streamer is still there."""
    await service.beat(call.user_id, str(stream_id), viewers.glimpse_of(call.ridden, str(stream_id)))


@router.post("/{stream_id}/viewers", responses=problems(Unauthenticated, StreamNotFound, UpstreamUnavailable))
async def watch_stream(
    stream_id: StreamId,
    call: Annotated[Call, gate(STREAMING, session=None)],
    request: Request,
    body: ViewerIn | None = None,
) -> ViewersOut:
    """A viewer is there, for 90 s; how many there are."""
    user_id = call.session.user_id if call.session else None
    count = await service.watch(
        str(stream_id),
        user_id=user_id,
        address=client_address(request.scope),
        name=body.viewer or "" if body else "",
    )
    return ViewersOut(viewers=count)


@router.delete("/{stream_id}", responses=_NOT_THEIRS)
async def end_stream(
    stream_id: StreamId, call: Annotated[UserCall, gate(STREAMING, session=True, ride=_PEEK)]
) -> StreamOut:
    """End one's stream; what it was is kept."""
    return await service.finish(call.user_id, str(stream_id), viewers.glimpse_of(call.ridden, str(stream_id)))
