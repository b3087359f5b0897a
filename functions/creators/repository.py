"""Creators in Postgres: SQL and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from shared.http.cursors import Cursor, microseconds, moment
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction
from shared.upstash import keys

if TYPE_CHECKING:
    from asyncpg import Record

# Whoever was suspended or closed their account is not shown.
_CREATORS: Final = f"""
    SELECT u.id, u.username, u.display_name, c.bio, c.avatar_url, c.links, c.category, c.follower_count, c.created_at,
           EXISTS (SELECT FROM streams s WHERE s.creator_id = c.user_id AND s.ended_at IS NULL
                      AND s.last_beat_at > now() - interval '{keys.STREAM.ttl} seconds') AS is_live
      FROM creators c JOIN users u ON u.id = c.user_id AND u.status = 'active'
"""

FOLLOWED: Final = "followed"  # an order of its own: the latest followed first

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
        value = self.follower_count if order == "followers" else microseconds(self.created_at)
        return Cursor(order, value, UUID(self.id))


async def find_creator(username: str) -> CreatorRow | None:
    row = await database().fetchrow(f"{_CREATORS} WHERE u.username = $1", username)
    return None if row is None else _creator(row)


async def find_creator_of(transaction: Transaction, user_id: str) -> CreatorRow:
    row = await transaction.fetchrow(f"{_CREATORS} WHERE u.id = $1", UUID(user_id))
    assert row is not None, "whoever is a creator has a profile"
    return _creator(row)


async def change(transaction: Transaction, user_id: str, changes: Mapping[str, object]) -> None:
    """Set what is named of the creator's row: bio, avatar_url, links, category."""
    links = json.dumps(changes["links"]) if "links" in changes else None
    await transaction.execute(
        """UPDATE creators
              SET bio = coalesce($2, bio), links = coalesce($3::jsonb, links), category = coalesce($4, category),
                  avatar_url = CASE WHEN $5 THEN $6 ELSE avatar_url END
            WHERE user_id = $1""",
        *(UUID(user_id), changes.get("bio"), links, changes.get("category")),
        *("avatar_url" in changes, changes.get("avatar_url")),
    )


async def creator_id(username: str) -> str | None:
    sql = "SELECT u.id FROM users u JOIN creators c ON c.user_id = u.id WHERE u.username = $1 AND u.status = 'active'"
    row = await database().fetchrow(sql, username)
    return None if row is None else str(row["id"])


async def follow(transaction: Transaction, creator: str, follower: str) -> bool:
    """Return whether that is new."""
    rows = await transaction.fetch(
        """WITH new AS (
               INSERT INTO follows (creator_id, follower_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING creator_id
           )
           UPDATE creators c SET follower_count = follower_count + 1 FROM new WHERE c.user_id = new.creator_id
           RETURNING c.user_id""",
        *(UUID(creator), UUID(follower)),
    )
    return bool(rows)


async def unfollow(transaction: Transaction, creator: str, follower: str) -> bool:
    """Return whether that was so."""
    rows = await transaction.fetch(
        """WITH gone AS (DELETE FROM follows WHERE creator_id = $1 AND follower_id = $2 RETURNING creator_id)
           UPDATE creators c SET follower_count = follower_count - 1 FROM gone WHERE c.user_id = gone.creator_id
           RETURNING c.user_id""",
        *(UUID(creator), UUID(follower)),
    )
    return bool(rows)


async def follows(username: str, follower: str) -> bool | None:
    """None where there is no such creator."""
    row = await database().fetchrow(
        """SELECT EXISTS (SELECT FROM follows f WHERE f.creator_id = c.user_id AND f.follower_id = $2) AS following
             FROM creators c JOIN users u ON u.id = c.user_id AND u.status = 'active' WHERE u.username = $1""",
        *(username, UUID(follower)),
    )
    return None if row is None else bool(row["following"])


async def list_followed(follower: str, *, after: Cursor | None, limit: int) -> list[tuple[CreatorRow, Cursor]]:
    """The creators that somebody follows, the latest first, each with its place in that order."""
    place = "" if after is None else "AND (f.created_at, f.creator_id) < ($3, $4)"
    followed = _CREATORS.replace("SELECT", "SELECT f.created_at AS followed_at,", 1)
    rows = await database().fetch(
        f"""{followed} JOIN follows f ON f.creator_id = c.user_id AND f.follower_id = $1 {place}
             ORDER BY f.created_at DESC, f.creator_id DESC LIMIT $2""",
        *(UUID(follower), limit),
        *(() if after is None else (moment(after.value), after.row_id)),
    )
    found = []
    for row in rows:
        fields = dict(row)
        value = microseconds(fields.pop("followed_at"))
        found.append((_creator(fields), Cursor(FOLLOWED, value, fields["id"])))
    return found


async def list_creators(*, order: str, category: str | None, after: Cursor | None, limit: int) -> list[CreatorRow]:
    """The next `limit` creators in descending order, by keyset: page 1,000 costs what page 1 does."""
    value = _ORDERS[order]
    arguments: list[object] = [limit]
    conditions = []
    if category is not None:
        arguments.append(category)
        conditions.append(f"c.category = ${len(arguments)}")
    if after is not None:
        place = after.value if order == "followers" else moment(after.value)
        arguments += [place, after.row_id]
        conditions.append(f"({value}, c.user_id) < (${len(arguments) - 1}, ${len(arguments)})")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = await database().fetch(f"{_CREATORS} {where} ORDER BY {value} DESC, c.user_id DESC LIMIT $1", *arguments)
    return [_creator(row) for row in rows]


def _creator(row: Record | Mapping[str, Any]) -> CreatorRow:
    fields = dict(row)
    return CreatorRow(**fields | {"id": str(fields["id"]), "links": json.loads(fields["links"])})
