"""Streams in Postgres, the truth of who was live and when. The one writer of their table, since reconcile ends streams
too: those whose streamer just vanished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared import users
from shared.http.cursors import Cursor
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction
from shared.presence import viewers
from shared.presence.viewers import ALIVE_SECONDS

if TYPE_CHECKING:
    from asyncpg import Record

WATCHED: Final = "watched"  # the most watched first
ENDED_AT_ONCE: Final = 500

_LIVE: Final = f"s.ended_at IS NULL AND s.last_beat_at > now() - interval '{ALIVE_SECONDS} seconds'"
_STREAM: Final = f"""
    s.id, s.creator_id, u.username, u.display_name, c.avatar_url, s.title, s.started_at, s.ended_at, s.last_beat_at,
    s.viewers, s.peak_viewers, {_LIVE} AS is_live
"""
_OF_THEIRS: Final = "s JOIN users u ON u.id = s.creator_id JOIN creators c ON c.user_id = s.creator_id"
_FROM: Final = f"streams {_OF_THEIRS}"


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream and its creator. Without heartbeats it was over at the last one, whether that is written or not."""

    id: str
    creator_id: str
    username: str
    display_name: str
    avatar_url: str | None
    title: str
    started_at: datetime
    ended_at: datetime | None
    last_beat_at: datetime
    viewers: int
    peak_viewers: int | None
    is_live: bool

    @property
    def over_at(self) -> datetime | None:
        return None if self.is_live else self.ended_at or self.last_beat_at


async def start(transaction: Transaction, creator_id: str, title: str) -> StreamRow | None:
    """A new stream; None when the creator is live already. One of theirs that nobody ended is ended first."""
    await end_vanished_of(transaction, creator_id)
    row = await transaction.fetchrow(
        f"""WITH s AS (INSERT INTO streams (creator_id, title) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING *)
            SELECT {_STREAM} FROM {_OF_THEIRS}""",
        *(UUID(creator_id), title),
    )
    return None if row is None else _stream(row)


async def beat(transaction: Transaction, stream_id: str, *, viewers: int | None, peak: int | None) -> StreamRow | None:
    """The stream is alive, and so many watch, as far as that is known; None when it is over, or there is none."""
    row = await transaction.fetchrow(
        f"""WITH s AS (
                UPDATE streams s SET last_beat_at = now(), viewers = coalesce($2, viewers),
                       peak_viewers = greatest(peak_viewers, $3)
                 WHERE s.id = $1 AND {_LIVE} RETURNING *
            )
            SELECT {_STREAM} FROM {_OF_THEIRS}""",
        *(UUID(stream_id), viewers, peak),
    )
    return None if row is None else _stream(row)


async def end(transaction: Transaction, stream_id: str, *, peak: int) -> None:
    """It ends now; or it ended with its last heartbeat, if that is too long ago. Once: what is over stays as it was."""
    await transaction.execute(
        f"""UPDATE streams s SET ended_at = CASE WHEN {_LIVE} THEN now() ELSE s.last_beat_at END, viewers = 0,
                   peak_viewers = greatest(s.peak_viewers, $2, 0)
             WHERE s.id = $1 AND s.ended_at IS NULL""",
        *(UUID(stream_id), peak),
    )


async def find(stream_id: str) -> StreamRow | None:
    row = await database().fetchrow(f"SELECT {_STREAM} FROM {_FROM} WHERE s.id = $1", UUID(stream_id))
    return None if row is None else _stream(row)


async def lock(transaction: Transaction, stream_id: str) -> StreamRow | None:
    """It stays as it is until this transaction ends."""
    row = await transaction.fetchrow(
        f"SELECT {_STREAM} FROM {_FROM} WHERE s.id = $1 FOR NO KEY UPDATE OF s", UUID(stream_id)
    )
    return None if row is None else _stream(row)


async def list_live(*, after: Cursor | None, limit: int) -> list[StreamRow]:
    """The most watched first, as of their last heartbeats: for when Redis cannot be asked."""
    place = "" if after is None else "AND (s.viewers, s.id) < ($2::bigint, $3)"
    rows = await database().fetch(
        f"SELECT {_STREAM} FROM {_FROM} WHERE {_LIVE} {place} ORDER BY s.viewers DESC, s.id DESC LIMIT $1",
        limit,
        *(() if after is None else (after.value, after.row_id)),
    )
    return [_stream(row) for row in rows]


async def end_vanished() -> int:
    """End the streams that were not heard of for too long, as of their last heartbeat; return how many. Each is ended
    once, whoever else does this at the same time."""
    async with database().transaction() as transaction:
        rows = await transaction.fetch(
            f"""UPDATE streams s SET ended_at = s.last_beat_at, viewers = 0, peak_viewers = coalesce(s.peak_viewers, 0)
                  FROM users u
                 WHERE u.id = s.creator_id AND s.id IN (
                       SELECT s.id FROM streams s WHERE s.ended_at IS NULL AND NOT ({_LIVE})
                        ORDER BY s.last_beat_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED)
                RETURNING s.id, u.username""",
            ENDED_AT_ONCE,
        )
        _forget(transaction, rows)
    return len(rows)


async def end_vanished_of(transaction: Transaction, creator_id: str) -> None:
    """The same for one creator, who begins another."""
    rows = await transaction.fetch(
        f"""UPDATE streams s SET ended_at = s.last_beat_at, viewers = 0, peak_viewers = coalesce(s.peak_viewers, 0)
              FROM users u
             WHERE u.id = s.creator_id AND s.creator_id = $1 AND s.ended_at IS NULL AND NOT ({_LIVE})
            RETURNING s.id, u.username""",
        UUID(creator_id),
    )
    _forget(transaction, rows)


def _forget(transaction: Transaction, rows: Sequence[Record]) -> None:
    for row in rows:
        users.forget_profile(transaction, row["username"])
        transaction.send_after(viewers.finish(str(row["id"])))


def _stream(row: Record) -> StreamRow:
    return StreamRow(**{**row, "id": str(row["id"]), "creator_id": str(row["creator_id"])})
