"""What nobody told of, when it is much, or long ago: looked for by the page, and by the hour."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from functions.payments import books, transfers
from functions.payments.figures import Run
from tests.functions.payments.payees import Payees
from tests.functions.payments.reconciling import (
    NOTHING,
    SETTLED,
    Log,
    ask,
    earner,
    make_due,
    run,
    settles,
)
from tests.functions.payments.world import World
from tools.local.stripe.faults import Mode
from tools.local.stripe.server import FakeStripe

pytestmark = pytest.mark.slow

HOUR = 3600


async def test_all_pages_of_entries_are_looked_at(payees: Payees, log: Log) -> None:
    fan = await payees.world.person()
    bought = [await payees.world.begin(fan, "t100") for _ in range(4)]
    for one in bought[:2]:
        payees.world.stripe.confirm(one.intent)
    for cents in range(1, 251):
        payees.world.stripe.top_up(cents)
    for one in bought[2:]:
        payees.world.stripe.confirm(one.intent)
    await settles(payees, log, (0, 254, 0, 0))
    assert await payees.world.tokens(fan) == (400, 0)


def _confirm_ago(stripe: FakeStripe, intent: str, seconds: float) -> None:
    stripe.advance(-seconds)
    stripe.confirm(intent)
    stripe.advance(seconds)


async def _look_back(world: World, hours: float) -> None:
    """All before was looked at."""
    await run()
    await world.owner.execute(
        "UPDATE reconcile_marks SET at = now() - $1 * interval '1 hour' WHERE name = 'entries'", hours
    )


async def test_after_hours_it_is_caught_up_with_in_parts(payees: Payees, log: Log) -> None:
    world = payees.world
    await _look_back(world, 5)
    fan = await world.person()
    for hours in (5.1, 4.7, 4.2, 3.5, 2.1, 1, 0.5, 0):
        _confirm_ago(world.stripe, (await world.begin(fan, "t100")).intent, hours * HOUR)
    await settles(payees, log, (0, 8, 0, 0))
    assert await world.tokens(fan) == (800, 0)


async def test_very_first_look_goes_back_a_day(payees: Payees, log: Log) -> None:
    world = payees.world
    await world.owner.execute("DELETE FROM reconcile_marks")
    bought = await world.begin(await world.person(), "t100")
    _confirm_ago(world.stripe, bought.intent, 23.9 * HOUR)
    await settles(payees, log)


async def test_what_was_looked_at_is_not_looked_at_again(payees: Payees, log: Log) -> None:
    """Before the overlap; it is due as a purchase all the same."""
    world = payees.world
    await _look_back(world, 5)
    bought = await world.begin(await world.person(), "t100")
    _confirm_ago(world.stripe, bought.intent, 5.2 * HOUR)
    log.clear()
    assert await run() == NOTHING
    assert log.drift == 999 - 59
    await make_due(world)
    assert await run() == SETTLED
    assert await world.status(bought.id) == "paid"


async def test_parts_that_were_looked_at_are_done_with_when_the_time_is_up(
    payees: Payees, log: Log, fresh_process: pytest.MonkeyPatch
) -> None:
    """Each run goes on where the last one has stopped."""
    world, looked = payees.world, 0
    await _look_back(world, 5)
    fan = await world.person()
    for hours in (4.5, 3.5, 2.5, 1.5):
        _confirm_ago(world.stripe, (await world.begin(fan, "t100")).intent, hours * HOUR)
    is_up: Callable[[object], bool] = lambda _figures: looked >= 2  # noqa: E731
    list_entries = transfers.list_entries

    def counted(since: int, until: int | None) -> object:
        nonlocal looked
        looked += 1
        return list_entries(since, until)

    with fresh_process.context() as patch:
        patch.setattr(transfers, "list_entries", counted)
        patch.setattr(Run, "time_is_up", is_up)
        for tokens in (200, 300, 400):
            looked = 0
            await books.catch_up(Run())
            assert (await world.tokens(fan))[0] == tokens
    await settles(payees, log, NOTHING)


async def test_slow_lists_are_waited_for(payees: Payees, log: Log) -> None:
    stripe = payees.world.stripe
    payout_id = await ask(await earner(payees))
    stripe.faults.slow_seconds = 0.1
    for path in ("GET /v1/transfers", "GET /v1/balance_transactions"):
        await stripe.faults.set(Mode.SLOW, count=2, only=path)
        await settles(payees, log, SETTLED if path == "GET /v1/transfers" else NOTHING)
    assert await payees.status(payout_id) == "paid"
