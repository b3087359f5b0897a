"""What becomes of a payout when its sender stands still. `plant` is a mistake that the sender's code has."""

from __future__ import annotations

from typing import Any, Final

from tests.functions.payments.crash import labels_payouts as labels
from tests.functions.payments.crash import payees
from tests.functions.payments.crash.clock import DAY
from tests.functions.payments.crash.doomed import Ended
from tests.functions.payments.crash.payout_events import Created
from tests.functions.payments.crash.payout_trials import CLAIMED, Payout, Recovery
from tests.functions.payments.crash.points import Way
from tests.functions.payments.crash.reconcile_trials import DayOld, Reserved, Unknown
from tests.functions.payments.crash.world import World

# A trial, and the point before which it sends.
SENDERS: Final[dict[str, tuple[type[Payout], int]]] = {
    "a request": (Payout, labels.PAYOUT.index(labels.SENDS)),
    "reconcile": (Reserved, labels.RESUMED.index(labels.SENDS)),
    "reconcile, again": (Unknown, labels.RESUMED.index(labels.SENDS)),
    "reconcile, a day later": (DayOld, labels.RESUMED_ANEW.index(labels.SENDS)),
}


async def paid_meanwhile(
    world: World, plant: str | None = None, *, sender: str = "a request", after: int = DAY
) -> None:
    """Reconcile has sent it, and it is paid, when the sender is let go."""
    new_trial, point = SENDERS[sender]
    trial = await _prepared(world, new_trial)
    world.stripe.reset_counters()
    async with world.stop(trial.request, point, plant=plant) as stopped:
        await world.clock.passes(after)
        await payees.reconcile_all(world)
        paid = await trial.payouts()
        assert [one["status"] for one in paid] == ["paid"]
        _check_answer(trial, await stopped.end())
    assert len(payees.transfers_of(world, paid)) == 1
    assert [seen.path for seen in world.stripe.seen if seen.method == "POST"] == ["/v1/transfers"]
    await _check(trial, paid)


async def claimed_meanwhile(world: World, plant: str | None = None) -> None:
    """Another has claimed it, and was to send it, and died, when the sender is let go."""
    trial = await _prepared(world, Payout)
    async with world.stop(trial.request, SENDERS["a request"][1], plant=plant) as stopped:
        await world.clock.passes(CLAIMED)
        another = await world.doom(payees.RECONCILE, SENDERS["reconcile"][1], Way.BEFORE)
        assert another.was_killed
        claimed = await trial.payouts()
        _check_answer(trial, await stopped.end())
    await _check(trial, claimed)


async def sent_meanwhile(world: World, plant: str | None = None) -> None:
    """The sender has heard that Stripe refuses. Before it gives the tokens back, the account becomes able, and another
    has sent them, a day later."""
    trial = await _prepared(world, Payout)
    account_id = payees.account_of(trial.buyer)
    world.stripe.onboard(account_id, is_verified=False)
    async with world.stop(trial.request, SENDERS["a request"][1] + 1, plant=plant) as stopped:
        world.stripe.onboard(account_id)
        await world.clock.passes(DAY, watched=True)
        another = await world.doom(payees.RECONCILE, SENDERS["reconcile, a day later"][1], Way.AFTER)
        assert another.was_killed
        sent = await trial.payouts()
        assert len(payees.transfers_of(world, sent)) == 1
        _check_answer(trial, await stopped.end())
    await _check(trial, sent)


async def dies_sending(world: World, plant: str | None = None) -> None:
    """A run of reconcile dies when it is about to send: what it sends is marked so."""
    trial = await _prepared(world, Reserved)
    point = SENDERS["reconcile"][1] - (0 if plant is None else len(labels.MARK_SENT))
    ended = await world.doom(trial.request, point, Way.BEFORE, plant=plant)
    assert ended.labels[-1] == labels.SENDS
    await trial.finish(ended)


async def is_told(world: World, plant: str | None = None) -> None:
    """A webhook is heard, and then everything is looked at again."""
    trial = await _prepared(world, Created)
    await trial.finish(await world.doom(trial.request, plant=plant))


async def is_found(world: World, plant: str | None = None) -> None:
    """A sender dies when Stripe has carried it out. A day later reconcile looks: it is not for sending it again."""
    trial = await _prepared(world, Payout, Recovery.NEXT_DAY)
    ended = await world.doom(trial.request, SENDERS["a request"][1], Way.AFTER)
    await world.clock.passes(DAY, watched=True)
    sends_anew = SENDERS["reconcile, a day later"][1] - 1
    await (world.doom(payees.RECONCILE, sends_anew, Way.AFTER, plant=plant) if plant else payees.reconcile(world))
    await trial.finish(ended)


async def _prepared(world: World, new_trial: type[Payout], recovery: Recovery = Recovery.AT_ONCE) -> Payout:
    trial = new_trial(world, await world.newcomer(), recovery)
    await trial.prepare()
    return trial


def _check_answer(trial: Payout, ended: Ended) -> None:
    assert ended.status == 0
    assert ended.reply is not None
    assert ended.reply.status == trial.succeeds_with


async def _check(trial: Payout, before: list[Any]) -> None:
    """Whoever was stopped has written nothing; and in the end it is as if there had been nobody else."""
    assert [dict(one) for one in await trial.payouts()] == [dict(one) for one in before]
    await trial.world.clock.passes(CLAIMED)
    await payees.reconcile_all(trial.world)
    await trial.tell()
    await trial.check()
    assert await trial.world.audit() == []
