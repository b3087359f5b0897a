"""Passwords and reset tokens in Postgres: SQL and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared import users
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Account:
    """A user and how they prove that they are; no password hash means that they sign in by code."""

    user: users.KnownUser
    password_hash: str | None


async def find_account(email: str) -> Account | None:
    row = await database().fetchrow(
        """SELECT u.id, u.username, u.email, u.display_name, u.is_creator, u.created_at, u.status,
                  u.email_verified_at IS NOT NULL AS email_verified, p.hash AS password_hash
             FROM users u LEFT JOIN passwords p ON p.user_id = u.id WHERE u.email = $1""",
        email,
    )
    return None if row is None else Account(users.of_row(row), row["password_hash"])


async def locked_password(transaction: Transaction, user_id: str) -> str | None:
    """The user's password hash, which stays as it is, as the user does, until this transaction ends."""
    row = await transaction.fetchrow(
        "SELECT p.hash FROM users u LEFT JOIN passwords p ON p.user_id = u.id WHERE u.id = $1 FOR UPDATE OF u",
        UUID(user_id),
    )
    return None if row is None else row["hash"]


async def set_password(transaction: Transaction, user_id: str, password_hash: str) -> None:
    await transaction.execute(
        """INSERT INTO passwords (user_id, hash) VALUES ($1, $2)
           ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = now()""",
        *(UUID(user_id), password_hash),
    )


async def remove_password(transaction: Transaction, user_id: str) -> None:
    await transaction.execute("DELETE FROM passwords WHERE user_id = $1", UUID(user_id))


async def put_reset(transaction: Transaction, user_id: str, token_hash: bytes, *, minutes: int) -> None:
    """The user's reset token from now on; an older one is gone."""
    await transaction.execute(
        """INSERT INTO password_resets (user_id, token_hash, expires_at)
           VALUES ($1, $2, now() + $3 * interval '1 minute')
           ON CONFLICT (user_id) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at""",
        *(UUID(user_id), token_hash, minutes),
    )


async def is_reset(token_hash: bytes) -> bool:
    """Whether this is a token that could be used."""
    sql = "SELECT FROM password_resets WHERE token_hash = $1 AND expires_at > now()"
    return await database().fetchrow(sql, token_hash) is not None


async def use_reset(transaction: Transaction, token_hash: bytes) -> str | None:
    """Use a token up; return whose it was, or None: it was used or replaced meanwhile, or is out of date."""
    row = await transaction.fetchrow(
        "DELETE FROM password_resets WHERE token_hash = $1 AND expires_at > now() RETURNING user_id", token_hash
    )
    return None if row is None else str(row["user_id"])
