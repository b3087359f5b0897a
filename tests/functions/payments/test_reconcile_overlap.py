"""Two processes reconcile a thousand open things at once: each is sent once, and booked once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from functions.payments.ledger import House
from tests.conftest import Services
from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import NOTHING, run, sent_keys
from tests.functions.payments.world import World, world_of
from tools.local.process import ENDS_WITH_PARENT
from tools.local.stripe.server import FakeStripe

PAYOUTS, PAYMENTS, DROPS = 400, 300, 300
PURCHASE = ("t100", 100, 999)

_PROCESS = """
import asyncio
from functions.payments import reconcile
from tools.local.process import end_with_parent
end_with_parent()
print(asyncio.run(reconcile.run()).model_dump_json(exclude={"success"}))
"""


@pytest.fixture
async def world(
    services: Services,
    digis: httpx.AsyncClient,
    database_name: str,
    owner_url: str,
    stripe: FakeStripe,
    fresh_process: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """What the processes are given: Postgres itself, and time for Redis and Stripe on a busy machine."""
    fresh_process.setenv("DATABASE_URL", services.postgres.url(database_name))
    fresh_process.setenv("UPSTASH_DEADLINE_MS", "10000")
    fresh_process.setenv("STRIPE_DEADLINE_MS", "12000")
    async with world_of(owner_url, stripe) as world:
        yield world


async def _reserve(payees: Payees, count: int) -> None:
    """Creators who had 1,000 tokens given to them and asked for them; then the process died. One account has it all."""
    account_id = await payees.world.owner.fetchval(
        "SELECT account_id FROM payout_accounts WHERE user_id = $1::uuid", await payees.creator()
    )
    async with payees.world.owner.transaction():
        await payees.world.owner.execute(
            """CREATE TEMPORARY TABLE asked ON COMMIT DROP AS
               SELECT gen_random_uuid() AS creator_id, gen_random_uuid() AS payout_id, gen_random_uuid() AS granted,
                      gen_random_uuid() AS reserved, 0::bigint AS earnings, 0::bigint AS transit, n
                 FROM generate_series(1, $1::int) n""",
            count,
        )
        for sql in (
            """INSERT INTO users (id, username, email, display_name, is_creator)
               SELECT creator_id, 'many_' || n, 'many_' || n || '@digis.test', 'Many', true FROM asked""",
            """SELECT count(*) FROM lock_ledger_accounts(
                   (SELECT array_agg(kind) FROM asked, unnest(ARRAY['earnings', 'payout_transit']) kind),
                   (SELECT array_agg(creator_id) FROM asked, unnest(ARRAY['earnings', 'payout_transit']) kind))""",
            """UPDATE asked SET earnings = e.id, transit = t.id FROM ledger_accounts e, ledger_accounts t
                WHERE (e.user_id, e.kind, t.user_id, t.kind)
                      = (creator_id, 'earnings', creator_id, 'payout_transit')""",
            """INSERT INTO ledger_transfers (id, kind)
               SELECT granted, 'grant' FROM asked UNION ALL SELECT reserved, 'payout' FROM asked""",
            f"""INSERT INTO ledger_postings (transfer_id, account_id, amount)
                SELECT granted, {int(House.ISSUED)}, -1000 FROM asked UNION ALL
                SELECT granted, earnings, 1000 FROM asked""",  # noqa: S608
            """INSERT INTO ledger_postings (transfer_id, account_id, amount)
               SELECT reserved, earnings, -1000 FROM asked UNION ALL SELECT reserved, transit, 1000 FROM asked""",
        ):
            await payees.world.owner.execute(sql)
        await payees.world.owner.execute(
            """INSERT INTO payouts (id, creator_id, tokens, amount_cents, currency, account_id)
               SELECT payout_id, creator_id, 1000, 5000, 'usd', $1 FROM asked""",
            account_id,
        )
        await payees.world.owner.execute(
            "INSERT INTO payout_movements (transfer_id, payout_id, cents) SELECT reserved, payout_id, 0 FROM asked"
        )


async def _pay(world: World, count: int) -> str:
    """Somebody pays for so many purchases, whose processes died before they heard of the payments; who."""
    fan = await world.person()
    rows = await world.owner.fetch(
        """INSERT INTO purchases (user_id, package_id, tokens, price_cents, currency)
           SELECT $1::uuid, $2, $3, $4, 'usd' FROM generate_series(1, $5::int) RETURNING id""",
        *(fan, *PURCHASE, count),
    )
    async with httpx.AsyncClient(headers={"Authorization": "Bearer sk_test_local"}) as http:
        for row in rows:
            form = {"metadata[purchase_id]": str(row["id"]), "metadata[stage]": "local", "capture_method": "automatic"}
            made = await http.post(
                f"{world.stripe.url}/v1/payment_intents", data={"amount": str(PURCHASE[2]), "currency": "usd", **form}
            )
            world.stripe.confirm(made.json()["id"])
    return fan


async def _run_in_a_process() -> Counter[str]:
    """Its figures, as far as they are not zero."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PROCESS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {ENDS_WITH_PARENT: "1"},
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return +Counter(json.loads(out.splitlines()[-1]))


@pytest.mark.slow
async def test_two_processes_at_once_send_and_book_each_thing_once(payees: Payees) -> None:
    world = payees.world
    await _reserve(payees, PAYOUTS)
    world.stripe.top_up(PAYOUTS * 5000)
    fan = await _pay(world, PAYMENTS)
    await world.owner.execute(
        "INSERT INTO cache_outbox (keys) SELECT ARRAY['nobody:' || n] FROM generate_series(1, $1::int) n", DROPS
    )
    world.stripe.reset_counters()
    done: Counter[str] = Counter()
    while more := sum(await asyncio.gather(_run_in_a_process(), _run_in_a_process()), Counter()):
        done += more
        assert done.total() <= 2 * PAYOUTS + PAYMENTS + DROPS + 1, done
    assert done == {"resumed": PAYOUTS, "settled": PAYOUTS + PAYMENTS + 1, "drained": DROPS}
    keys = sent_keys(world.stripe)
    assert len(keys) == len(set(keys)) == len(world.stripe.transfers) == PAYOUTS
    assert (await world.tokens(fan), await run()) == ((PAYMENTS * 100, 0), NOTHING)
    by_status = await world.owner.fetch("SELECT status, count(*) AS number FROM payouts GROUP BY 1")
    assert {row["status"]: row["number"] for row in by_status} == {"paid": PAYOUTS}
