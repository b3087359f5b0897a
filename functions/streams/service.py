"""Streams: begun and ended in Postgres, live in Redis, where whoever watches is counted.

Without Redis a stream goes on: what is known of it then is as of its last heartbeat.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import ValidationError

from functions.streams.schemas import EmbeddedCreator, EndedStream, Stream, StreamOut, StreamsOut
from shared import users
from shared.http.cursors import Cursor
from shared.http.problems import AccountInactive, AlreadyLive, Forbidden, NotACreator, StreamNotFound
from shared.http.queries import PageQuery
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction
from shared.presence import streams, viewers
from shared.presence.streams import StreamRow
from shared.presence.viewers import Glimpse
from shared.upstash.errors import UpstashError

_RETRY_SECONDS: Final = viewers.ALIVE_SECONDS  # by then the other one has ended, if nobody sends its heartbeats


async def start(creator_id: str, title: str) -> StreamOut:
    """Raise AccountInactive, NotACreator or AlreadyLive."""
    async with database().transaction() as transaction:
        user = await users.lock(transaction, creator_id)
        if user is None or not user.is_active:
            raise AccountInactive
        if not user.is_creator:
            raise NotACreator
        row = await streams.start(transaction, creator_id, title)
        if row is None:
            raise AlreadyLive(headers={"Retry-After": str(_RETRY_SECONDS)})
        users.forget_profile(transaction, user.username)
        _tell(transaction, row)
    return StreamOut(stream=_shown(row))


async def beat(creator_id: str, stream_id: str, glimpse: Glimpse | None) -> None:
    """The creator is still there. Raise StreamNotFound, also when the stream is over, or Forbidden."""
    known = (None, None) if glimpse is None else (glimpse.viewers, glimpse.peak_viewers)
    async with database().transaction() as transaction:
        row = await streams.beat(transaction, stream_id, viewers=known[0], peak=known[1])
        if row is None:
            raise StreamNotFound
        if row.creator_id != creator_id:
            raise Forbidden  # and nothing of it is kept
        _tell(transaction, row)


async def finish(creator_id: str, stream_id: str, glimpse: Glimpse | None) -> StreamOut:
    """End a stream; once it is over, say how it was again. Raise StreamNotFound or Forbidden."""
    async with database().transaction() as transaction:
        row = await streams.lock(transaction, stream_id)
        if row is None:
            raise StreamNotFound
        if row.creator_id != creator_id:
            raise Forbidden
        if row.ended_at is None:
            await streams.end(transaction, stream_id, peak=glimpse.peak_viewers if glimpse else 0)
            users.forget_profile(transaction, row.username)
            transaction.send_after(viewers.finish(stream_id))
            row = await streams.lock(transaction, stream_id)
            assert row is not None
    return StreamOut(stream=_shown(row))


async def find(stream_id: str, glimpse: Glimpse | None) -> StreamOut:
    """A stream, live or over. Raise StreamNotFound."""
    if glimpse is not None and (stream := _as_shown(glimpse)) is not None:
        return StreamOut(stream=stream)
    row = await streams.find(stream_id)
    if row is None:
        raise StreamNotFound
    return StreamOut(stream=_shown(row, row.viewers if glimpse is None else glimpse.viewers))


async def watch(stream_id: str, *, user_id: str | None, address: str, name: str) -> int:
    """Count a viewer; return how many watch. Raise StreamNotFound."""
    row: StreamRow | None = None
    try:
        count = await viewers.watch(stream_id, user_id=user_id, address=address, name=name)
        if count is None:  # it is over, or Redis has lost it
            row = await _live(stream_id)
            count = await viewers.watch(stream_id, user_id=user_id, address=address, name=name, lost=_json(row))
    except UpstashError:
        count = None
    if count is None:
        return (row or await _live(stream_id)).viewers
    return count


async def list_live(query: PageQuery, glimpses: list[Glimpse] | None) -> StreamsOut:
    """The most watched first, from what rode with the gate; `glimpses` has one more than the page where there is more.
    Raise InvalidCursor."""
    after = place_of(query)
    if glimpses is None:
        rows = await streams.list_live(after=after, limit=query.limit + 1)
        glimpses = [Glimpse(row.id, row.viewers, _json(row)) for row in rows]
    page = glimpses[: query.limit]
    return StreamsOut(
        streams=[stream for one in page if (stream := _as_shown(one)) is not None],
        next_cursor=_cursor(page[-1]).encode() if len(glimpses) > query.limit else None,
    )


def place_of(query: PageQuery) -> Cursor | None:
    """Where a page begins. Raise InvalidCursor."""
    return None if query.cursor is None else Cursor.decode(query.cursor, order=streams.WATCHED)


async def _live(stream_id: str) -> StreamRow:
    row = await streams.find(stream_id)
    if row is None or not row.is_live:
        raise StreamNotFound
    return row


def _tell(transaction: Transaction, row: StreamRow) -> None:
    transaction.send_after(viewers.beat(row.id, _json(row)))


def _json(row: StreamRow) -> str:
    return _shown(row).model_dump_json()


def _shown(row: StreamRow, watching: int = 0) -> Stream:
    stream = Stream(
        id=row.id,
        creator=EmbeddedCreator(
            id=row.creator_id, username=row.username, display_name=row.display_name, avatar_url=row.avatar_url
        ),
        title=row.title,
        status="live" if row.is_live else "ended",
        started_at=row.started_at,
        viewers=watching if row.is_live else 0,
    )
    if row.over_at is None:
        return stream
    duration = int((row.over_at - row.started_at).total_seconds())
    return EndedStream(
        **stream.model_dump(), ended_at=row.over_at, duration=duration, peak_viewers=row.peak_viewers or 0
    )


def _as_shown(glimpse: Glimpse) -> Stream | None:
    """What Redis has of a stream; None where another release wrote it in a way of its own: a heartbeat mends that."""
    try:
        stream = Stream.model_validate_json(glimpse.shown)
    except ValidationError:
        return None
    return stream.model_copy(update={"viewers": glimpse.viewers})


def _cursor(glimpse: Glimpse) -> Cursor:
    return Cursor(streams.WATCHED, glimpse.viewers, UUID(glimpse.stream_id))
