"""What may be known of creators, and how a list of them goes on."""

from __future__ import annotations

from functions.creators import repository
from functions.creators.schemas import Creator, CreatorOut, CreatorsOut, ListQuery
from shared.http.cursors import Cursor


async def find_profile(username: str) -> CreatorOut | None:
    row = await repository.find_creator(username)
    return None if row is None else CreatorOut(creator=Creator.model_validate(row))


def place_of(query: ListQuery) -> Cursor | None:
    """Where a page begins. Raise InvalidCursor for a cursor that is not of this order."""
    return None if query.cursor is None else Cursor.decode(query.cursor, order=query.sort)


async def list_creators(query: ListQuery) -> CreatorsOut:
    """One page. Raise InvalidCursor for a cursor that is not of this order."""
    after = place_of(query)
    rows = await repository.list_creators(order=query.sort, category=query.category, after=after, limit=query.limit + 1)
    shown = rows[: query.limit]  # the one row more only tells that there is more
    more = len(rows) > query.limit
    return CreatorsOut(
        creators=[Creator.model_validate(row) for row in shown],
        next_cursor=shown[-1].cursor(query.sort).encode() if more else None,
    )
