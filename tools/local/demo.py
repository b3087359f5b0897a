"""Demo data: two fans and fifty creators, the same on every laptop.

Loading again changes nothing, whatever the user did to the rows meanwhile. What they have at Stripe is there only where
Stripe is the fake one (`seed_stripe`).
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg

from functions.auth import passwords
from tools.local.demo_money import load_money
from tools.local.demo_stripe import load_payees, seed
from tools.local.stripe.server import FakeStripe

_NAMESPACE: Final = UUID("d1615000-0000-4000-8000-000000000000")
_BEGINNING: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_SEED: Final = 50
FAN_PASSWORD: Final = "demo-fan-password"  # noqa: S105 -- of a laptop, and in the contract
CREATOR_PASSWORD: Final = "demo-creator-password"  # noqa: S105

_FANS: Final = ("fan", "fan2")
_CATEGORIES: Final = ("music", "gaming", "art", "fitness", "cooking", "talk")
CREATORS: Final = (
    "luna mika nova aria jude remy sol vera finn iris koa lena milo nora otto pia quinn rhea sven tess ugo vida "
    "wren xena yara zeno ada bram cleo dara enzo faye gus hana ivo juno kit lola max nina olaf petra rico sara "
    "timo uma vito willa xavi yuki"
).split()
_BIOS: Final = {
    "music": "Late-night sessions, half of them requests.",
    "gaming": "Speedruns on weekdays, chaos on weekends.",
    "art": "Ink, water and whatever the brush decides.",
    "fitness": "Thirty minutes, no equipment, no excuses.",
    "cooking": "One pan, five ingredients, your questions.",
    "talk": "Long conversations with people who build things.",
}


@dataclass(frozen=True, slots=True)
class DemoCounts:
    """How many rows were new."""

    users: int
    creators: int
    charges: int


async def load_demo(url: str, *, payees: bool = True) -> DemoCounts:
    """Insert what is missing of the demo data, in one transaction; `payees`: with accounts and funds at Stripe."""
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        async with connection.transaction():
            new = [row["id"] for row in await connection.fetch(_USERS_SQL, json.dumps(_users(), default=str))]
            creators = await connection.fetch(_CREATORS_SQL, json.dumps(_creators(), default=str), new)
            await _set_passwords(connection)
            fans, makers = [demo_id(name) for name in _FANS], [demo_id(name) for name in CREATORS]
            charges = await load_money(connection, _NAMESPACE, fans, makers)
            if payees:
                await load_payees(connection, _NAMESPACE, dict(zip(CREATORS, makers, strict=True)))
    finally:
        await connection.close(timeout=10)
    return DemoCounts(len(new), len(creators), charges)


def seed_stripe(fake: FakeStripe) -> None:
    """Have the fake Stripe know the demo's creators, and the funds that they are paid from."""
    seed(fake, CREATORS)


def demo_id(username: str) -> UUID:
    """The id of a demo user, the same everywhere."""
    return uuid5(_NAMESPACE, username)


_USERS_SQL: Final = """
    INSERT INTO users (id, username, email, display_name, is_creator, email_verified_at, created_at)
    SELECT id, username, username || '@digis.test', display_name, is_creator, created_at, created_at
      FROM jsonb_to_recordset($1::jsonb)
        AS demo (id uuid, username text, display_name text, is_creator boolean, created_at timestamptz)
    ON CONFLICT DO NOTHING RETURNING id
"""

# A creator has a profile from the moment they are one: of a new one it is still empty.
_CREATORS_SQL: Final = """
    INSERT INTO creators (user_id, bio, links, category, follower_count, created_at)
    SELECT user_id, bio, links, category, follower_count, created_at
      FROM jsonb_to_recordset($1::jsonb)
        AS demo (user_id uuid, bio text, links jsonb, category text, follower_count bigint, created_at timestamptz)
     WHERE EXISTS (SELECT FROM users WHERE id = user_id)
    ON CONFLICT (user_id) DO UPDATE
       SET bio = excluded.bio, links = excluded.links, category = excluded.category,
           follower_count = excluded.follower_count, created_at = excluded.created_at
     WHERE creators.user_id = ANY($2)
    RETURNING user_id
"""

_UNHASHED_SQL: Final = """
    SELECT u.id, u.is_creator FROM users u
     WHERE u.id = ANY($1) AND NOT EXISTS (SELECT FROM passwords p WHERE p.user_id = u.id)
"""


async def _set_passwords(connection: asyncpg.Connection[Any]) -> None:
    """Hashed once each, when anybody is without: all fans have one password, all creators another."""
    rows = await connection.fetch(_UNHASHED_SQL, [demo_id(name) for name in (*_FANS, *CREATORS)])
    if rows:
        hashes = {True: await passwords.hashed(CREATOR_PASSWORD), False: await passwords.hashed(FAN_PASSWORD)}
        await connection.executemany(
            "INSERT INTO passwords (user_id, hash) VALUES ($1, $2)",
            [(row["id"], hashes[row["is_creator"]]) for row in rows],
        )


def _users() -> list[dict[str, Any]]:
    fans = [_user("fan", 0, is_creator=False), _user("fan2", 1, is_creator=False)]
    return fans + [_user(name, 2 + place, is_creator=True) for place, name in enumerate(CREATORS)]


def _user(username: str, place: int, *, is_creator: bool) -> dict[str, Any]:
    return {
        "id": demo_id(username),
        "username": username,
        "display_name": username.capitalize(),
        "is_creator": is_creator,
        "created_at": _BEGINNING + timedelta(days=place, minutes=37 * place),
    }


def _creators() -> list[dict[str, Any]]:
    """Skewed as fame is, and with equal counts among the small, so that pages meet ties."""
    chance = random.Random(_SEED)  # noqa: S311 -- the same on every laptop is what it is for
    creators = []
    for place, name in enumerate(CREATORS):
        category = _CATEGORIES[place % len(_CATEGORIES)]
        followers = 120_000 // (place + 1) ** 2 if place < len(CREATORS) // 2 else chance.choice((12, 25, 40))
        creators.append(
            {
                "user_id": demo_id(name),
                "bio": _BIOS[category],
                "links": [f"https://{name}.example/"] if place % 2 == 0 else [],
                "category": category,
                "follower_count": followers,
                "created_at": _BEGINNING + timedelta(days=2 + place, minutes=37 * (2 + place)),
            }
        )
    return creators
