"""What moved somebody's tokens."""

from __future__ import annotations

from functions.payments import ledger_repository
from functions.payments.schemas import Entry, HistoryOut
from shared.http.cursors import Cursor
from shared.http.queries import PageQuery


async def list_entries(user_id: str, query: PageQuery) -> HistoryOut:
    """The latest first. Raise InvalidCursor."""
    after = None if query.cursor is None else Cursor.decode(query.cursor, order=ledger_repository.ENTRIES)
    rows = await ledger_repository.list_entries(user_id, after=after, limit=query.limit + 1)
    shown = rows[: query.limit]
    return HistoryOut(
        entries=[Entry.model_validate(row) for row in shown],
        next_cursor=shown[-1].cursor().encode() if len(rows) > query.limit else None,
    )
