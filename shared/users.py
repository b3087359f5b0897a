"""Users: who there is. The one writer of their table, since both sign-in and profiles change it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel

from shared import sessions
from shared.cache.space import Lookup, Space
from shared.cache.spaces import USERS
from shared.http.problems import EmailTaken, UsernameTaken
from shared.postgres.pool import database
from shared.postgres.transaction import Transaction
from shared.upstash import keys

if TYPE_CHECKING:
    from asyncpg import Record

PROFILE: Final = "profile"  # the name of the cached public profiles, which change with their users

_SHOWN: Final = """
    u.id, u.username, u.email, u.display_name, u.is_creator, u.email_verified_at IS NOT NULL AS email_verified,
    u.created_at, u.status
"""


class User(BaseModel):
    """A user, as they see themselves."""

    id: str
    username: str
    email: str
    display_name: str
    is_creator: bool
    email_verified: bool
    created_at: datetime


class KnownUser(User):
    """A user, as we see them."""

    status: str

    @property
    def is_active(self) -> bool:
        return self.status == "active"

    def public(self) -> User:
        return User.model_validate(self.model_dump(exclude={"status"}))


space: Final = Space(keys.USER, "self", KnownUser, USERS)


def _caller(request: Request) -> tuple[str, ...] | None:
    known = sessions.presented(request)
    return None if known is None else (known.user_id,)


OF_CALLER: Final[Lookup] = space.where(_caller)  # a read to declare at a gate with a session


async def find(user_id: str) -> KnownUser | None:
    row = await database().fetchrow(f"SELECT {_SHOWN} FROM users u WHERE u.id = $1", UUID(user_id))
    return None if row is None else of_row(row)


async def lock(transaction: Transaction, user_id: str) -> KnownUser | None:
    """The user, whose row stays as it is until this transaction ends."""
    row = await transaction.fetchrow(f"SELECT {_SHOWN} FROM users u WHERE u.id = $1 FOR UPDATE", UUID(user_id))
    return None if row is None else of_row(row)


async def insert(
    transaction: Transaction, *, username: str, email: str, display_name: str, is_creator: bool
) -> KnownUser:
    """A new user. Raise EmailTaken or UsernameTaken."""
    row = await transaction.fetchrow(
        f"""INSERT INTO users AS u (username, email, display_name, is_creator) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING RETURNING {_SHOWN}""",
        *(username, email, display_name, is_creator),
    )
    if row is None:
        taken = await transaction.fetchrow("SELECT FROM users WHERE email = $1", email)
        raise UsernameTaken if taken is None else EmailTaken
    user = of_row(row)
    _forget(transaction, user)  # that there was nobody of this name may be remembered
    return user


async def prove_address(transaction: Transaction, user: KnownUser) -> None:
    """They read mail that was sent to their address."""
    await transaction.execute(
        "UPDATE users SET email_verified_at = now() WHERE id = $1 AND email_verified_at IS NULL", UUID(user.id)
    )
    _forget(transaction, user)


async def rename(transaction: Transaction, user: KnownUser, display_name: str) -> None:
    await transaction.execute("UPDATE users SET display_name = $2 WHERE id = $1", UUID(user.id), display_name)
    _forget(transaction, user)


def forget_profile(transaction: Transaction, username: str) -> None:
    """Have the cached public profile dropped when this transaction commits."""
    transaction.drop_cached(keys.key(keys.CREATOR, PROFILE, username))


def of_row(row: Record | Mapping[str, object]) -> KnownUser:
    return KnownUser.model_validate({**row, "id": str(row["id"])})


def _forget(transaction: Transaction, user: User) -> None:
    space.drop(transaction, user.id)
    if user.is_creator:
        forget_profile(transaction, user.username)
