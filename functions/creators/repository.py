"""Creators in Postgres: SQL and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from shared.http.cursors import Cursor
from shared.postgres.pool import database

if TYPE_CHECKING:
    from asyncpg import Record

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# Whoever was suspended or closed their account is not shown.
_CREATORS: Final = """
    SELECT u.id, u.username, u.display_name, c.bio, c.avatar_url, c.links, c.category, c.follower_count, c.created_at,
           EXISTS (SELECT FROM streams s WHERE s.creator_id = c.user_id AND s.ended_at IS NULL) AS is_live
      FROM creators c JOIN users u ON u.id = c.user_id AND u.status = 'active'
"""

# The values of each order, as the keyset compares them; ids settle ties.
_ORDERS: Final = {"followers": "c.follower_count", "newest": "c.created_at"}


@dataclass(frozen=True, slots=True)
class CreatorRow:
    id: str
    username: str
    display_name: str
    bio: str
    avatar_url: str | None
    links: list[str]
    category: str
    follower_count: int
    is_live: bool
    created_at: datetime

    def cursor(self, order: str) -> Cursor:
        """The place of this row in a list of that order."""
        value = self.follower_count if order == "followers" else (self.created_at - _EPOCH) // timedelta(microseconds=1)
        return Cursor(order, value, UUID(self.id))


async def find_creator(username: str) -> CreatorRow | None:
    row = await database().fetchrow(f"{_CREATORS} WHERE u.username = $1", username)
    return None if row is None else _creator(row)


async def list_creators(*, order: str, category: str | None, after: Cursor | None, limit: int) -> list[CreatorRow]:
    """The next `limit` creators in descending order, by keyset: page 1,000 costs what page 1 does."""
    value = _ORDERS[order]
    arguments: list[object] = [limit]
    conditions = []
    if category is not None:
        arguments.append(category)
        conditions.append(f"c.category = ${len(arguments)}")
    if after is not None:
        place = after.value if order == "followers" else _EPOCH + timedelta(microseconds=after.value)
        arguments += [place, after.row_id]
        conditions.append(f"({value}, c.user_id) < (${len(arguments) - 1}, ${len(arguments)})")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = await database().fetch(f"{_CREATORS} {where} ORDER BY {value} DESC, c.user_id DESC LIMIT $1", *arguments)
    return [_creator(row) for row in rows]


def _creator(row: Record) -> CreatorRow:
    fields = dict(row)
    return CreatorRow(**fields | {"id": str(fields["id"]), "links": json.loads(fields["links"])})
