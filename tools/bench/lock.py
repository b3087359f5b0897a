"""What the lock saves: fifty payout requests of one creator at once, with it and without, and what each that is refused
has cost Postgres."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock
from uuid import UUID, uuid4

import asyncpg

from functions.payments import payouts, senders
from functions.payments.schemas import PayoutIn
from shared import locks, snapshot, telemetry
from shared.http.problems import PayoutInProgress
from shared.locks import Lease
from shared.postgres import pool
from shared.telemetry import RequestRecord
from shared.upstash import client
from tools.bench.measure import Result, median
from tools.bench.server import dev_server, free_port
from tools.local.env_file import read_env, read_state

AT_ONCE: Final = 50
LEAST_PERCENT: Final = 90.0
_TOKENS: Final = 1000


async def measure(rounds: int) -> list[Result]:
    """How much of the statements and transactions of a refused request it saves, in percent."""
    with tempfile.TemporaryDirectory(prefix="digis-bench-") as name, dev_server(Path(name), free_port()):
        data = Path(name)
        state = read_state(data)
        assert state is not None
        with mock.patch.dict(os.environ, read_env(data)):
            snapshot.forget()
            owner = await asyncpg.connect(state.owner_url, timeout=10)
            try:
                costs = [
                    (await _round(owner, locked=False), await _round(owner, locked=True)) for _ in range(rounds + 1)
                ]
            finally:
                await owner.close(timeout=10)
                await _close()
                snapshot.forget()
    alone, locked = zip(*costs[1:], strict=True)
    results = []
    for place, (id_, what) in enumerate((("lock_saves", "statements"), ("lock_saves_transactions", "transactions"))):
        costs_alone = [cost[place] for cost in alone]
        saved = [100 * (1 - with_it[place] / cost) for with_it, cost in zip(locked, costs_alone, strict=True)]
        name = f"{AT_ONCE} payouts of one creator at once: {what} that the lock saves each refused, %"
        spread = (min(saved), max(saved))
        results += [
            Result(id_, name, statistics.median(saved), LEAST_PERCENT, spread, at_least=True),
            median(f"{id_}_of", f"{what} of each refused without the lock", costs_alone),
        ]
    return results


async def _round(owner: asyncpg.Connection[Any], *, locked: bool) -> tuple[float, float]:
    """The mean statements and transactions of those who were refused. Nothing is sent: that comes after."""
    creator = await _creator(owner)
    with (
        _counted_transactions() as begun,
        mock.patch.object(senders, "send_new", _send_nothing),
        mock.patch.object(locks, "hold", locks.hold if locked else _no_lock),
    ):
        found = await asyncio.gather(*(_ask(creator, begun) for _ in range(AT_ONCE)))
    refused = [one for one in found if one is not None]
    if len(refused) != AT_ONCE - 1:
        raise RuntimeError(f"{AT_ONCE - len(refused)} were paid out at once")
    return statistics.mean(cost[0] for cost in refused), statistics.mean(cost[1] for cost in refused)


async def _ask(creator: str, begun: dict[asyncio.Task[Any] | None, int]) -> tuple[int, int] | None:
    """What it has cost to be refused; None for who was not."""
    record = RequestRecord("bench", "POST", "/payments/payouts")
    telemetry.begin(record)
    try:
        await payouts.request(creator, PayoutIn(tokens=_TOKENS), str(uuid4()))
    except PayoutInProgress:
        return record.queries, begun.get(asyncio.current_task(), 0)
    return None


@contextmanager
def _counted_transactions() -> Iterator[dict[asyncio.Task[Any] | None, int]]:
    """How many each task has begun."""
    begun: dict[asyncio.Task[Any] | None, int] = {}
    begin = pool.Database._begin  # noqa: SLF001 -- nothing else sees every one of them

    async def counted(database: pool.Database, *, read_only: bool) -> Any:
        task = asyncio.current_task()
        begun[task] = begun.get(task, 0) + 1
        return await begin(database, read_only=read_only)

    with mock.patch.object(pool.Database, "_begin", counted):
        yield begun


@asynccontextmanager
async def _no_lock(*_name: str, **_options: object) -> AsyncIterator[Lease]:
    yield Lease("", "", held=False)


async def _send_nothing(_reserved: object) -> None:
    pass


async def _creator(owner: asyncpg.Connection[Any]) -> str:
    """Somebody new who may be paid out all that they all ask for."""
    async with owner.transaction():
        user_id: UUID = await owner.fetchval(
            """INSERT INTO users (username, email, display_name, is_creator, email_verified_at)
               VALUES ($1, $1 || '@bench.test', 'Creator', true, now()) RETURNING id""",
            f"bench_{uuid4().hex[:12]}",
        )
        await owner.execute(
            "INSERT INTO payout_accounts (user_id, account_id, status) VALUES ($1, $2, 'active')",
            *(user_id, f"acct_{user_id.hex}"),
        )
        await owner.execute(
            """WITH account AS (SELECT account_id AS id FROM lock_ledger_accounts(ARRAY['earnings'], ARRAY[$1::uuid])),
                    made AS (INSERT INTO ledger_transfers (kind, created_at)
                             VALUES ('grant', now() - interval '90 days') RETURNING id, created_at)
               INSERT INTO ledger_postings (transfer_id, account_id, amount, created_at)
               SELECT made.id, account.id, $2::bigint, made.created_at FROM made, account
               UNION ALL SELECT made.id, 1, -$2::bigint, made.created_at FROM made""",
            *(user_id, _TOKENS * AT_ONCE),
        )
    return str(user_id)


async def _close() -> None:
    if upstash := client.upstash():
        await upstash.close()
    await pool.database().close()
