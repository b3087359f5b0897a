"""Idempotency keys: a request that is repeated is answered as it was the first time, and done once.

A key is the user's and the route's. Claim, act, and record in the transaction of the effect: what is recorded has
happened, and what has happened is recorded. Where acting takes more than one transaction (somebody else's service is
called in between), `hold` commits the claim, and a repeat after a crash goes on with what was begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from shared import telemetry
from shared.http.problems import IdempotencyKeyReused, RequestInFlight
from shared.postgres.transaction import Begin, Transaction

KEPT_DAYS: Final = 30
RETRY_SECONDS: Final = 1  # for whoever meets another at work: most take milliseconds, and asking again costs little


@dataclass(frozen=True, slots=True)
class Operation:
    """Whose key it is, on which route, and what was asked for with it."""

    user_id: str
    route: str
    key: str
    body_hash: bytes

    @classmethod
    def of(cls, user_id: str, route: str, key: str, body: BaseModel) -> Operation:
        """The body counts as it was understood: neither the order of its fields nor those unknown to us matter."""
        return cls(user_id, route, key, sha256(body.model_dump_json().encode()).digest())

    @property
    def name(self) -> tuple[UUID, str, str]:
        return UUID(self.user_id), self.route, self.key


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: a body of ours, or for a status of 400 or more the code of a problem."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """An operation that is ours until the transaction ends. `subject` is what an earlier try had begun."""

    answer: Answer | None = None
    subject: str | None = None


async def claim(transaction: Transaction, operation: Operation) -> Claim:
    """Take the operation on, or learn how it was answered. Two statements, whatever there was before.

    Raise RequestInFlight when somebody is at work on it, IdempotencyKeyReused when it was another request's.
    """
    locked = await transaction.fetchrow(  # nobody waits for it with a connection in their hands
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 0)) AS ours", "/".join(map(str, operation.name))
    )
    row = await transaction.fetchrow(  # what was answered is answered again, whoever has the lock
        """SELECT body_hash, subject, status, answer,
                  ceil(extract(epoch FROM claimed_until - clock_timestamp()))::int AS busy_seconds
             FROM idempotency_keys
            WHERE user_id = $1 AND route = $2 AND key = $3 AND created_at > now() - make_interval(days => $4)""",
        *(*operation.name, KEPT_DAYS),
    )
    if row is not None and row["body_hash"] != operation.body_hash:
        raise IdempotencyKeyReused
    if row is not None and row["answer"] is not None:
        if record := telemetry.current():
            record.headers["Idempotency-Replayed"] = "true"
        return Claim(Answer(row["status"], row["answer"]))
    if not (locked and locked["ours"]) or (row is not None and (row["busy_seconds"] or 0) > 0):
        raise RequestInFlight(headers={"Retry-After": str(RETRY_SECONDS)})
    return Claim(subject=None if row is None else str(row["subject"]))


async def hold(transaction: Transaction, operation: Operation, subject: str, *, seconds: float) -> None:
    """Keep the claim when this transaction commits, for so long; a repeat after that goes on with `subject`."""
    await _put(transaction, operation, UUID(subject), seconds, None)


async def give_up(transaction: Transaction, operation: Operation) -> None:
    """A repeat need not wait any longer."""
    await transaction.execute(
        """UPDATE idempotency_keys SET claimed_until = NULL
            WHERE user_id = $1 AND route = $2 AND key = $3 AND answer IS NULL""",
        *operation.name,
    )


async def record(transaction: Transaction, operation: Operation, answer: Answer) -> None:
    """Have every repeat answered like this when the transaction commits."""
    await _put(transaction, operation, None, None, answer)


async def purge(begin: Begin, *, limit: int) -> int:
    """Forget keys that are past their KEPT_DAYS; return how many, `limit` at the most."""
    async with begin() as transaction:
        rows = await transaction.fetch(
            """DELETE FROM idempotency_keys WHERE (user_id, route, key) IN (
                   SELECT user_id, route, key FROM idempotency_keys
                    WHERE created_at < now() - make_interval(days => $1)
                    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
                RETURNING key""",
            *(KEPT_DAYS, limit),
        )
    return len(rows)


async def _put(
    transaction: Transaction, operation: Operation, subject: UUID | None, seconds: float | None, answer: Answer | None
) -> None:
    await transaction.execute(
        """INSERT INTO idempotency_keys AS k (user_id, route, key, body_hash, subject, claimed_until, status, answer)
           VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6), $7, $8)
           ON CONFLICT (user_id, route, key) DO UPDATE
              SET body_hash = excluded.body_hash, subject = coalesce(excluded.subject, k.subject),
                  claimed_until = excluded.claimed_until, status = excluded.status, answer = excluded.answer,
                  created_at = now()""",
        *(*operation.name, operation.body_hash, subject, seconds),
        *((answer.status, answer.body) if answer else (None, None)),
    )
