"""Sessions: Postgres has the truth, Redis a copy that is believed for five minutes.

The copy is a cached value like any other (shared/cache): ending a session drops it and whatever lease is on it, so
that a slow reader who still saw the session alive cannot put it back. The token is 256 random bits, signed together
with the user's id; what is stored, in both places, is its SHA-256.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel

from shared import tokens
from shared.cache import lease
from shared.cache.entry import Entry, Fetched, State
from shared.cache.spaces import SESSIONS
from shared.http.cursors import Cursor, microseconds, moment
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction
from shared.upstash import keys

if TYPE_CHECKING:
    from asyncpg import Record

IDLE_DAYS: Final = 7
ABSOLUTE_DAYS: Final = 30
KEPT_DAYS: Final = 30  # addresses and browsers, after the end
_KIND: Final = "session"
_SECRET_BYTES: Final = 32
_USER_AGENT_LENGTH: Final = 200

_ALIVE: Final = f"""
    s.ended_at IS NULL AND s.created_at > now() - interval '{ABSOLUTE_DAYS} days'
    AND s.last_seen_at > now() - interval '{IDLE_DAYS} days'
"""
_SHOWN: Final = f"s.id, s.user_id, s.created_at, s.created_at + interval '{ABSOLUTE_DAYS} days' AS expires_at"


class Session(BaseModel):
    """A session that is alive. The copy in Redis is this as JSON."""

    id: str
    user_id: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Presented:
    """A token that we signed. Whether its session is alive is another question."""

    user_id: str
    token_hash: bytes

    @property
    def key(self) -> str:
        """Of the copy in Redis."""
        return _key(self.token_hash)


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session as its owner sees it among theirs."""

    id: str
    token_hash: bytes
    created_at: datetime
    last_seen_at: datetime
    ip: str
    user_agent: str

    def cursor(self) -> Cursor:
        return Cursor("newest", microseconds(self.created_at), UUID(self.id))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session with its token, which is nowhere else."""

    session: Session
    token: str


def sent(headers: Mapping[str, str]) -> str | None:
    """The token as it was sent, in X-Session-Id or as a bearer; None where none was."""
    if token := headers.get("x-session-id"):
        return token
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def presented(request: Request) -> Presented | None:
    """The request's token, if it is one of ours."""
    token = sent(request.headers)
    body = None if token is None else tokens.verified(_KIND, token)
    if body is None or len(body) != 16 + _SECRET_BYTES:
        return None
    return Presented(str(UUID(bytes=body[:16])), sha256(body[16:]).digest())


async def judge(fetched: Fetched, known: Presented) -> Session | None:
    """The live session of this token, from what the gate fetched or, every five minutes, from Postgres.

    Never served stale: the five minutes are how long an end can go unnoticed when Redis lost it. Raise
    DatabaseUnavailable when Postgres has to be asked and cannot be.
    """
    entry = Entry.decode(fetched.raw)
    if entry and fetched.state is State.FRESH:
        session = Session.model_validate_json(entry.body) if entry.body else None
        return session if session and session.expires_at > datetime.now(UTC) else None
    session = await find(known)
    if fetched.state is State.LEASED_TO_US:
        found = Entry.of(session.model_dump_json() if session else None)
        await lease.fill(known.key, fetched.token, found, fresh_ms=_fresh_ms(found), kept_ms=_kept_ms(found))
    return session


async def find(known: Presented) -> Session | None:
    """The truth from Postgres; and that the session was seen, which is written once in a few minutes."""
    row = await database().fetchrow_writing(
        f"""WITH seen AS (
                UPDATE sessions s SET last_seen_at = now()
                 WHERE s.token_hash = $1 AND {_ALIVE} AND s.last_seen_at < now() - interval '4 minutes'
            )
            SELECT {_SHOWN} FROM sessions s JOIN users u ON u.id = s.user_id AND u.status = 'active'
             WHERE s.token_hash = $1 AND {_ALIVE}""",
        known.token_hash,
    )
    return None if row is None else _session(row)


async def begin(transaction: Transaction, user_id: str, *, ip: str, user_agent: str) -> SignedIn:
    """A new session; its copy is in Redis from the commit on."""
    secret = secrets.token_bytes(_SECRET_BYTES)
    token_hash = sha256(secret).digest()
    row = await transaction.fetchrow(
        f"""INSERT INTO sessions AS s (user_id, token_hash, ip, user_agent) VALUES ($1, $2, $3, $4)
            RETURNING {_SHOWN}""",
        *(UUID(user_id), token_hash, ip, user_agent[:_USER_AGENT_LENGTH]),
    )
    assert row is not None
    session = _session(row)
    entry = Entry.of(session.model_dump_json())
    copy = lease.put(_key(token_hash), entry, fresh_ms=_fresh_ms(entry), kept_ms=_kept_ms(entry))
    transaction.send_after(copy)
    return SignedIn(session, tokens.sign(_KIND, UUID(user_id).bytes + secret))


async def end_presented(transaction: Transaction, known: Presented) -> bool:
    """End the session of this token; return whether it was alive. The copy in Redis is dropped either way."""
    transaction.drop_cached(known.key)
    rows = await transaction.fetch(
        f"UPDATE sessions s SET ended_at = now() WHERE s.token_hash = $1 AND {_ALIVE} RETURNING s.id", known.token_hash
    )
    return bool(rows)


async def end_one(transaction: Transaction, user_id: str, session_id: str) -> bool:
    """End one of a user's sessions, by its id; return whether there is one of that id, alive or ended."""
    return bool(await _end(transaction, "s.user_id = $1 AND s.id = $2", UUID(user_id), UUID(session_id)))


async def end_all(transaction: Transaction, user_id: str) -> None:
    """End every session of a user."""
    await _end(transaction, f"s.user_id = $1 AND {_ALIVE}", UUID(user_id))


async def list_alive(user_id: str, *, after: Cursor | None, limit: int) -> list[ListedSession]:
    """A user's sessions, newest first, by keyset."""
    place = "" if after is None else "AND (s.created_at, s.id) < ($3, $4)"
    rows = await database().fetch(
        f"""SELECT s.id, s.token_hash, s.created_at, s.last_seen_at, s.ip, s.user_agent FROM sessions s
             WHERE s.user_id = $1 AND {_ALIVE} {place} ORDER BY s.created_at DESC, s.id DESC LIMIT $2""",
        *(UUID(user_id), limit),
        *(() if after is None else (moment(after.value), after.row_id)),
    )
    return [ListedSession(**{**row, "id": str(row["id"])}) for row in rows]


async def forget_addresses(*, limit: int) -> int:
    """Empty the addresses of sessions that ended KEPT_DAYS ago; return how many, `limit` at the most."""
    rows = await database().fetch_writing(
        f"""UPDATE sessions SET ip = '', user_agent = ''
             WHERE id IN (SELECT id FROM sessions
                           WHERE (ip <> '' OR user_agent <> '')
                             AND coalesce(ended_at, created_at) < now() - interval '{KEPT_DAYS} days' AND (
                                 ended_at < now() - interval '{KEPT_DAYS} days'
                                 OR created_at < now() - interval '{ABSOLUTE_DAYS + KEPT_DAYS} days')
                           ORDER BY coalesce(ended_at, created_at) LIMIT $1 FOR UPDATE SKIP LOCKED)
            RETURNING id""",
        limit,
    )
    return len(rows)


async def _end(transaction: Transaction, which: str, *arguments: object) -> list[Record]:
    rows = await transaction.fetch(
        f"UPDATE sessions s SET ended_at = coalesce(s.ended_at, now()) WHERE {which} RETURNING s.token_hash", *arguments
    )
    for row in rows:
        transaction.drop_cached(_key(row["token_hash"]))
    return rows


def _session(row: Record) -> Session:
    return Session(
        id=str(row["id"]), user_id=str(row["user_id"]), created_at=row["created_at"], expires_at=row["expires_at"]
    )


def _key(token_hash: bytes) -> str:
    return keys.key(keys.SESSION, token_hash.hex())


def _fresh_ms(entry: Entry) -> int:
    return 1000 * (SESSIONS.soft if entry.body else SESSIONS.absent)


def _kept_ms(entry: Entry) -> int:
    return 1000 * (SESSIONS.hard if entry.body else SESSIONS.absent)
