"""Demo money: the fans' tokens, and what they have spent on the creators in the last 90 days.

Dates count back from the day of the first load; everything else is the same on every laptop. The fans' tokens were
given to them: nobody has paid for these, and the fake Stripe knows nothing of them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import asyncpg

from functions.payments.ledger import House, Kind
from functions.payments.packages import fee_of

FAN_TOKENS: Final = 10_000  # what each fan has left
_DAYS: Final = 90
_SEED: Final = 90
_MOST_CHARGES: Final = (90, 80, 70, 60, 50)  # of the best known creators; the others have some
_CHARGES: Final = 24
_LEAST_TOKENS: Final = 16_000  # of a creator's charges in all: over 5,000 of them are earned and past the hold
_MOST_TOKENS: Final = 64_000
_KINDS: Final = ("tip", "tip", "tip", "unlock", "call")


@dataclass(frozen=True, slots=True)
class _Charge:
    transfer_id: UUID
    payer: UUID
    creator: UUID
    kind: str
    tokens: int
    at: datetime


async def load_money(
    connection: asyncpg.Connection[Any], namespace: UUID, fans: Sequence[UUID], creators: Sequence[UUID]
) -> int:
    """Post what is not there yet, in this connection's transaction; return how many charges that was."""
    there = {row["id"] for row in await connection.fetch("SELECT id FROM users WHERE id = ANY($1)", [*fans, *creators])}
    charges = [one for one in _charges(namespace, fans, creators) if {one.payer, one.creator} <= there]
    spent = Counter[UUID]()
    for charge in charges:
        spent[charge.payer] += charge.tokens
    beginning = _midnight() - timedelta(days=_DAYS + 1)
    granted = {fan: uuid5(namespace, f"grant {fan}") for fan in fans if fan in there}
    transfers = [(granted[fan], "grant", beginning) for fan in granted]
    transfers += [(charge.transfer_id, charge.kind, charge.at) for charge in charges]
    rows = await connection.fetch(
        """INSERT INTO ledger_transfers (id, kind, created_at)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) ON CONFLICT DO NOTHING RETURNING id""",
        *_columns(transfers, 3),
    )
    new = {row["id"] for row in rows}
    if not new:  # every start but the first
        return 0
    accounts = await _accounts(connection, [*granted], [creator for creator in creators if creator in there])
    postings: list[tuple[UUID, int, int, datetime]] = []
    for fan, transfer_id in granted.items():
        given = spent[fan] + FAN_TOKENS
        postings.append((transfer_id, House.ISSUED, -given, beginning))
        postings.append((transfer_id, accounts[Kind.WALLET, fan], given, beginning))
    for charge in charges:
        fee = fee_of(charge.tokens)
        postings.append((charge.transfer_id, accounts[Kind.WALLET, charge.payer], -charge.tokens, charge.at))
        postings.append((charge.transfer_id, accounts[Kind.EARNINGS, charge.creator], charge.tokens - fee, charge.at))
        postings.append((charge.transfer_id, House.FEE, fee, charge.at))
    await connection.execute(
        """INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
           SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[])""",
        *_columns([posting for posting in postings if posting[0] in new], 4),
    )
    made = [charge for charge in charges if charge.transfer_id in new]
    await connection.execute(
        """INSERT INTO charges (transfer_id, payer_id, creator_id, kind, tokens, fee_tokens, created_at)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::int[],
                                $7::timestamptz[])""",
        *_columns([(c.transfer_id, c.payer, c.creator, c.kind, c.tokens, fee_of(c.tokens), c.at) for c in made], 7),
    )
    return len(made)


def _charges(namespace: UUID, fans: Sequence[UUID], creators: Sequence[UUID]) -> list[_Charge]:
    """Skewed as fame is: a few creators earn every day, the others now and then."""
    chance = random.Random(_SEED)  # noqa: S311 -- the same on every laptop is what it is for
    charges = []
    for place, creator in enumerate(creators):
        count = _MOST_CHARGES[place] if place < len(_MOST_CHARGES) else _CHARGES
        total = max(_LEAST_TOKENS, _MOST_TOKENS // (place + 1))
        for number in range(count):
            # From yesterday back, evenly, at some time of the day.
            day = 1 + number * _DAYS // count
            at = _midnight() - timedelta(days=day) + timedelta(minutes=chance.randrange(24 * 60))
            tokens = total // count + chance.randrange(-total // count // 2, total // count // 2)
            fan = fans[chance.randrange(len(fans))]
            kind = chance.choice(_KINDS)
            charges.append(_Charge(uuid5(namespace, f"charge {creator} {number}"), fan, creator, kind, tokens, at))
    return charges


async def _accounts(
    connection: asyncpg.Connection[Any], fans: Sequence[UUID], creators: Sequence[UUID]
) -> dict[tuple[str, UUID], int]:
    kinds = [Kind.WALLET] * len(fans) + [Kind.EARNINGS] * len(creators)
    rows = await connection.fetch("SELECT * FROM lock_ledger_accounts($1, $2)", kinds, [*fans, *creators])
    return {(row["account_kind"], row["account_user_id"]): row["account_id"] for row in rows}


def _midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]
