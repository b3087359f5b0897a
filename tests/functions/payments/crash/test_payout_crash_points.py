"""A process dies of a payout, of a webhook about one, or of reconcile, anywhere and in every way. What comes after that
(`Recovery`) ends with every payout final, the money sent once, and the books right."""

from __future__ import annotations

import pytest

from functions.payments import books
from tests.functions.payments.crash import labels_payouts as labels
from tests.functions.payments.crash.clock import DAY
from tests.functions.payments.crash.deaths import die
from tests.functions.payments.crash.payout_operations import PAYOUTS, deaths, recovered
from tests.functions.payments.crash.payout_trials import Recovery
from tests.functions.payments.crash.points import Way
from tests.functions.payments.crash.world import World


async def test_points_are_the_listed_ones_when_nothing_goes_wrong(world: World) -> None:
    for name, operation in PAYOUTS.items():
        trial = operation.new_trial(world, await world.newcomer())
        await trial.prepare()
        ended = await world.doom(trial.request)
        assert ended.status == 0
        assert ended.reply is not None
        assert ended.reply.status == trial.succeeds_with
        assert tuple(ended.labels) == operation.labels, f"{name}: list the new points in labels_payouts.py"
        await trial.finish(ended)


@pytest.mark.parametrize("recovery", Recovery)
async def test_payout_is_sent_once_when_its_process_dies_of_sending(world: World, recovery: Recovery) -> None:
    point = labels.PAYOUT.index(labels.SENDS)
    await die(world, recovered("payout", recovery), [(point, Way.LOST)])


@pytest.mark.slow
@pytest.mark.parametrize("recovery", Recovery)
@pytest.mark.parametrize("name", PAYOUTS)
async def test_money_is_sent_once_when_a_process_dies_anywhere(
    world: World, fresh_process: pytest.MonkeyPatch, name: str, recovery: Recovery
) -> None:
    fresh_process.setattr(books, "WINDOW_SECONDS", DAY)  # in one part, instead of 26: the test above has those
    await die(world, recovered(name, recovery), deaths(name, recovery))
