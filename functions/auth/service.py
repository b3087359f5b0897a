"""Sessions, as their owner sees and ends them."""

from __future__ import annotations

from functions.auth.schemas import ListedSession, SessionsOut
from shared import sessions
from shared.http.cursors import Cursor
from shared.http.problems import NotFound, Unauthenticated, UpstreamUnavailable
from shared.http.queries import PageQuery
from shared.postgres.pool import RETRY_SECONDS, database
from shared.postgres.transaction import Transaction
from shared.sessions import Presented, Session

_ORDER = "newest"


async def list_sessions(query: PageQuery, current: Session) -> SessionsOut:
    """The caller's sessions, newest first. Raise InvalidCursor."""
    after = None if query.cursor is None else Cursor.decode(query.cursor, order=_ORDER)
    rows = await sessions.list_alive(current.user_id, after=after, limit=query.limit + 1)
    shown = rows[: query.limit]
    return SessionsOut(
        sessions=[
            ListedSession(
                id=row.id,
                created_at=row.created_at,
                last_seen_at=row.last_seen_at,
                ip=row.ip,
                user_agent=row.user_agent,
                current=row.id == current.id,
            )
            for row in shown
        ],
        next_cursor=shown[-1].cursor().encode() if len(rows) > query.limit else None,
    )


async def logout(presented: Presented) -> None:
    """End this session. Raise Unauthenticated when it had ended, or UpstreamUnavailable until that is sure."""
    async with database().transaction() as transaction:
        was_alive = await sessions.end_presented(transaction, presented)
    _confirm(transaction)
    if not was_alive:
        raise Unauthenticated


async def end_session(user_id: str, session_id: str) -> None:
    """End one of the caller's sessions. Raise NotFound, or UpstreamUnavailable until it is sure."""
    async with database().transaction() as transaction:
        if not await sessions.end_one(transaction, user_id, session_id):
            raise NotFound
    _confirm(transaction)


async def logout_everywhere(user_id: str) -> None:
    """End every session of the caller. Raise UpstreamUnavailable until it is sure."""
    async with database().transaction() as transaction:
        await sessions.end_all(transaction, user_id)
    _confirm(transaction)


def _confirm(transaction: Transaction) -> None:
    """Postgres knows, and every process will within five minutes. Only Redis can say that all of them do now."""
    if not transaction.drops_confirmed:
        raise UpstreamUnavailable(headers={"Retry-After": str(RETRY_SECONDS)})
