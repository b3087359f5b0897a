"""Charges by the hundred thousand on the demo's creators, skewed as fame is, for seeing how things do at size.

A charge is made of its number alone, but for the day that it counts back from: whoever loads more loads what is not
there yet. They are loaded in chunks, each a transaction that is whole.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from functions.payments.ledger import House, Kind
from functions.payments.packages import fee_of
from tools.local.demo import CREATORS, demo_id

POSTINGS_EACH: Final = 3  # from the wallet, to the earnings, to the house

_ROOM: Final = 2**48 - 1  # numbers below a kind of id
_CHUNK: Final = 10_000  # charges: a second or so, for which others' postings wait
_SEED: Final = 366
_FANS: Final = 20_000
_GRANT: Final = 100_000_000  # tokens, more than the best of them ever spends
_DAYS: Final = 365  # up to yesterday: with today, as many as analytics shows at once
_TOKENS: Final = (5, 5, 10, 10, 10, 20, 25, 50, 50, 100, 250, 500)
_KINDS: Final = ("tip", "tip", "tip", "unlock", "call")

_TRANSFERS, _CHARGES, _GRANTS, _USERS = (UUID(f"d161500{n}-0000-4000-8000-000000000000").int for n in range(1, 5))

# For as long as a chunk takes. They look at each row by itself, at five times the cost; _check looks at all of them.
_BY_ROW: Final = (
    ("ledger_postings", "ledger_transfers_sum_to_zero"),
    ("ledger_transfers", "ledger_transfers_have_postings"),
)
_BROKEN: Final = """
    SELECT count(*) FROM unnest($1::uuid[]) AS made (id) LEFT JOIN LATERAL (
               SELECT sum(p.amount) = 0 AND bool_and(p.created_at = t.created_at) AS is_right
                 FROM ledger_transfers t JOIN ledger_postings p ON p.transfer_id = t.id
                WHERE t.id = made.id GROUP BY t.id
           ) transfer ON true
     WHERE transfer.is_right IS NOT TRUE
"""
_TABLES: Final = ("users", "ledger_accounts", "ledger_transfers", "ledger_postings", "charges")


class DemoRefused(Exception):
    """It cannot be loaded here. The message says why."""


@dataclass(frozen=True, slots=True)
class _Charge:
    number: int
    fan: int
    creator: int
    tokens: int
    kind: str
    days: int
    seconds: int


Posting = tuple[UUID, int, int, datetime]


async def load_large(url: str, postings: int, progress: Callable[[int, int], None]) -> int:
    """Load charges until there are as many as make so many postings; return how many were loaded now.

    `progress` is told how many are there, and how many there will be. Raise DemoRefused.
    """
    wanted = postings // POSTINGS_EACH
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        first = there = await _count(connection)
        progress(there, wanted)
        while there < wanted:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('digis demo'))")
                there = await _count(connection)
                chunk = list(itertools.islice(_charges_from(there), max(wanted - there, 0)))
                await _load(connection, chunk)
            there += len(chunk)
            progress(there, wanted)
        if there > first:
            for table in _TABLES:  # what is read from an index alone needs it, and comes by itself only later
                await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await asyncio.shield(connection.close(timeout=10))
    return there - first


async def _count(connection: asyncpg.Connection[Any]) -> int:
    """How many of the charges are there already."""
    last = await connection.fetchval(
        "SELECT id FROM ledger_transfers WHERE id BETWEEN $1 AND $2 ORDER BY id DESC LIMIT 1",
        *(UUID(int=_TRANSFERS), UUID(int=_TRANSFERS + _ROOM)),
    )
    return 0 if last is None else UUID(str(last)).int - _TRANSFERS + 1


def _charges_from(number: int) -> Iterator[_Charge]:
    """Of the chunk that this one is in, from it on."""
    begin = number - number % _CHUNK
    chance = random.Random(f"{_SEED} {begin}")  # noqa: S311 -- the same on every laptop is what it is for
    fame = list(itertools.accumulate(1 / (place + 1) for place in range(len(CREATORS))))
    creators = range(len(CREATORS))
    for each in range(begin, begin + _CHUNK):
        charge = _Charge(
            number=each,
            fan=int(_FANS ** chance.random()),  # the first spends 14,000 times as often as the last
            creator=chance.choices(creators, cum_weights=fame)[0],
            tokens=chance.choice(_TOKENS),
            kind=chance.choice(_KINDS),
            days=chance.randint(1, _DAYS),
            seconds=chance.randrange(86_400),
        )
        if each >= number:
            yield charge


async def _load(connection: asyncpg.Connection[Any], charges: Sequence[_Charge]) -> None:
    """Accounts are locked before tables, as charges do it: nobody waits for each other in a circle."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    fans = await _fans(connection, sorted({charge.fan for charge in charges}), midnight)
    makers = [demo_id(name) for name in CREATORS]
    accounts = await _accounts(connection, [*fans.values()], makers)
    for table, trigger in _BY_ROW:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    transfers: list[tuple[UUID, str, datetime]] = []
    postings: list[Posting] = []
    rows: list[tuple[UUID, UUID, UUID, UUID, str, int, int, datetime]] = []
    granted_at = midnight - timedelta(days=_DAYS + 1)
    for fan in await _without_grant(connection, fans):
        grant = UUID(int=_GRANTS + fan)
        transfers.append((grant, "grant", granted_at))
        postings.append((grant, House.ISSUED, -_GRANT, granted_at))
        postings.append((grant, accounts[Kind.WALLET, fans[fan]], _GRANT, granted_at))
    for one in charges:
        transfer, at = UUID(int=_TRANSFERS + one.number), midnight - timedelta(days=one.days, seconds=-one.seconds)
        payer, creator, fee = fans[one.fan], makers[one.creator], fee_of(one.tokens)
        transfers.append((transfer, one.kind, at))
        postings.append((transfer, accounts[Kind.WALLET, payer], -one.tokens, at))
        postings.append((transfer, accounts[Kind.EARNINGS, creator], one.tokens - fee, at))
        postings.append((transfer, House.FEE, fee, at))
        rows.append((UUID(int=_CHARGES + one.number), transfer, payer, creator, one.kind, one.tokens, fee, at))
    await _copy(connection, "ledger_transfers", "id kind created_at", transfers)
    await _copy(connection, "ledger_postings", "transfer_id account_id amount created_at", postings)
    columns = "id transfer_id payer_id creator_id kind tokens fee_tokens created_at"
    await _copy(connection, "charges", columns, rows)
    await _check(connection, [transfer for transfer, *_ in transfers], {account for _, account, *_ in postings})
    for table, trigger in _BY_ROW:
        await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")


async def _check(connection: asyncpg.Connection[Any], transfers: list[UUID], accounts: set[int]) -> None:
    """What the triggers would have said, of all rows at once. Raise DemoRefused."""
    if broken := await connection.fetchval(_BROKEN, transfers):
        raise DemoRefused(f"{broken} transfers do not sum to zero: their chunk is not kept")
    sql = "SELECT count(*) FROM ledger_accounts WHERE id = ANY ($1) AND unit <> 'token'"
    if others := await connection.fetchval(sql, accounts):
        raise DemoRefused(f"{others} accounts are not of tokens: their chunk is not kept")


async def _fans(connection: asyncpg.Connection[Any], numbers: Sequence[int], midnight: datetime) -> dict[int, UUID]:
    """Their ids; who is not there yet is made."""
    fans = {number: UUID(int=_USERS + number) for number in numbers}
    names = [f"demo_fan_{number:05}" for number in numbers]
    await connection.execute(
        """INSERT INTO users (id, username, email, display_name, created_at)
           SELECT id, name, name || '@digis.test', initcap(replace(name, '_', ' ')), $3
             FROM unnest($1::uuid[], $2::text[]) AS demo (id, name) ON CONFLICT DO NOTHING""",
        *([*fans.values()], names, midnight - timedelta(days=_DAYS + 2)),
    )
    if await connection.fetchval("SELECT count(*) FROM users WHERE id = ANY ($1)", [*fans.values()]) != len(fans):
        raise DemoRefused("somebody else has the name of one of its fans, such as demo_fan_00001")
    return fans


async def _accounts(
    connection: asyncpg.Connection[Any], fans: Sequence[UUID], creators: Sequence[UUID]
) -> dict[tuple[str, UUID], int]:
    if await connection.fetchval("SELECT count(*) FROM creators WHERE user_id = ANY ($1)", creators) != len(creators):
        raise DemoRefused("the demo's creators are not there: start digis dev with its demo data")
    kinds = [Kind.WALLET] * len(fans) + [Kind.EARNINGS] * len(creators)
    rows = await connection.fetch("SELECT * FROM lock_ledger_accounts($1, $2)", kinds, [*fans, *creators])
    return {(row["account_kind"], row["account_user_id"]): row["account_id"] for row in rows}


async def _without_grant(connection: asyncpg.Connection[Any], fans: dict[int, UUID]) -> list[int]:
    grants = {UUID(int=_GRANTS + number): number for number in fans}
    rows = await connection.fetch("SELECT id FROM ledger_transfers WHERE id = ANY ($1)", [*grants])
    return sorted(set(fans) - {grants[UUID(str(row["id"]))] for row in rows})


async def _copy(connection: asyncpg.Connection[Any], table: str, columns: str, records: Sequence[Any]) -> None:
    await connection.copy_records_to_table(table, records=records, columns=columns.split())
