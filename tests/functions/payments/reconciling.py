"""What happens at Stripe while nobody tells us of it, and what a run of reconcile makes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from functions.payments import payouts, reconcile, senders
from functions.payments.payouts_repository import PayoutRow
from functions.payments.schemas import PayoutIn
from shared import telemetry
from tests.functions.payments.audit_payouts import audit_payouts
from tests.functions.payments.payees import Payees
from tests.functions.payments.people import new_key
from tests.functions.payments.world import Json, World
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery

Figures = tuple[int, int, int, int]  # resumed, settled, failed, drained

NOTHING: Figures = (0, 0, 0, 0)
SETTLED: Figures = (0, 1, 0, 0)


@asynccontextmanager
async def unheard(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Payees]:
    """From now on every webhook is lost; reconcile has looked half an hour ago. Payouts are audited at the end, unless
    the test plants a fault."""
    world.stripe.webhooks.set(Delivery.LOST)
    await world.owner.execute("INSERT INTO reconcile_marks VALUES ('entries', now() - interval '30 minutes')")
    yield Payees(world)
    if "plants_a_fault" not in request.keywords:
        assert await audit_payouts(world.owner, world.stripe) == []


async def run() -> Figures:
    """One run, and its figures. Raise what it is answered with."""
    found = await reconcile.run()
    return found.resumed, found.settled, found.failed, found.drained


async def settles(payees: Payees, log: Log, figures: Figures = SETTLED) -> None:
    """One run, of which the ledger is right again; and none of it was heard."""
    told = await payees.world.owner.fetchval("SELECT count(*) FROM stripe_events")
    log.clear()
    assert await run() == figures
    assert (log.drift, log.errors) == (0, [])
    log.clear()
    assert await run() == NOTHING
    assert (log.drift, log.errors) == (0, [])
    await payees.world.stripe.delivered()
    assert await payees.world.owner.fetchval("SELECT count(*) FROM stripe_events") == told


async def earner(payees: Payees, tokens: int = 1000) -> str:
    """A creator who may have so many tokens paid out; there is money at Stripe for some thousands."""
    creator = await payees.creator()
    await payees.earn(await payees.world.person(), creator, -(-tokens * 5 // 4), days=10)
    await payees.fund()
    return creator


async def ask(creator: str, tokens: int = 1000) -> str:
    """A payout that is reserved, and sent as far as Stripe lets it; its id."""
    answer = await payouts.request(creator, PayoutIn(tokens=tokens), new_key())
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["payout"]["id"])


async def ask_and_die(creator: str, patch: pytest.MonkeyPatch, tokens: int = 1000) -> str:
    """A payout that is reserved, and whose process dies before it sends it; its id."""

    async def die(_reserved: PayoutRow) -> None:
        pass

    with patch.context() as doomed:
        doomed.setattr(senders, "send_new", die)
        return await ask(creator, tokens)


async def make_due(world: World) -> None:
    """All that is open, in place of waiting for it."""
    await world.owner.execute("UPDATE payouts SET due_at = now()")
    await world.owner.execute("UPDATE purchases SET due_at = now()")


async def make_sent_ago(world: World, payout_id: str, hours: float) -> None:
    """It was sent so long ago, once, and is due."""
    await world.owner.execute(
        """UPDATE payouts SET sent_at = now() - $2 * interval '1 hour', first_sent_at = now() - $2 * interval '1 hour',
                  due_at = now() WHERE id = $1 AND sent_at IS NOT NULL""",
        *(UUID(payout_id), hours),
    )


async def due_in(world: World, payout_id: str) -> float:
    """Seconds."""
    sql = "SELECT extract(epoch FROM due_at - now())::float8 FROM payouts WHERE id = $1"
    return float(await world.owner.fetchval(sql, UUID(payout_id)))


def sent_keys(stripe: FakeStripe) -> list[str | None]:
    """Under which keys Stripe was asked for a transfer, the oldest first."""
    return [one.idempotency_key for one in stripe.seen if (one.method, one.path) == ("POST", "/v1/transfers")]


async def post_to_stripe(stripe: FakeStripe, path: str, form: dict[str, str]) -> Json:
    """As somebody does who has our key and is not us."""
    async with httpx.AsyncClient(headers={"Authorization": "Bearer sk_test_local"}) as somebody:
        answer = await somebody.post(f"{stripe.url}/v1/{path}", data=form)
    assert answer.status_code == 200, answer.text
    made: Json = answer.json()
    return made


@dataclass(frozen=True)
class Log:
    """What was logged since the test began, or since the last `clear`."""

    caplog: pytest.LogCaptureFixture

    @property
    def errors(self) -> list[str]:
        return [record.getMessage() for record in self.caplog.records if record.levelno >= logging.ERROR]

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self.caplog.records]

    def metrics(self, name: str) -> list[int]:
        """Each time it was measured."""
        measured = [line.removeprefix("metrics: ") for line in self.lines if line.startswith("metrics: ")]
        pairs = [pair.split(" ") for line in measured for pair in line.split(", ")]
        return [int(float(value)) for found, value in pairs if found == name]

    @property
    def drift(self) -> int:
        """What the last run measured, which is the only one since the last `clear`."""
        (drift,) = self.metrics("LedgerDriftCents")
        return drift

    def clear(self) -> None:
        self.caplog.clear()


@contextmanager
def log_of(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    logger = telemetry.logger()  # made, so that it hands nothing on to where it would be caught once more
    logger.addHandler(caplog.handler)
    try:
        yield Log(caplog)
    finally:
        logger.removeHandler(caplog.handler)
