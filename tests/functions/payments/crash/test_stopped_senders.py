"""A sender is stopped (SIGSTOP), others go on without it, and it is let go, over a minute or a day later. What it does
then is nothing. Each of these finds a mistake that is planted where it looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.functions.payments.crash import stopping
from tests.functions.payments.crash.clock import DAY
from tests.functions.payments.crash.payout_trials import CLAIMED
from tests.functions.payments.crash.world import World

Story = Callable[[World, str | None], Awaitable[None]]

# What finds a mistake, and of what assertion.
_FINDS: Final[dict[str, tuple[Story, str]]] = {
    "sends however late": (stopping.paid_meanwhile, "transfers_of(world, paid)"),
    "puts off what is not its own": (stopping.claimed_meanwhile, "for one in before"),
    "gives back what is not its own": (stopping.sent_meanwhile, "for one in before"),
    "sends unmarked": (stopping.dies_sending, '!= "reserved"'),
    "forgets movements": (stopping.is_told, "held.redeemed"),
    "does not look": (stopping.is_found, "len(sent)"),
}
_IN_EVERY_RUN: Final = "sends however late"
_PLANTS: Final = [pytest.param(name, marks=() if name == _IN_EVERY_RUN else pytest.mark.slow) for name in _FINDS]


@pytest.mark.slow
@pytest.mark.parametrize("after", [CLAIMED, DAY], ids=["a minute", "a day"])
@pytest.mark.parametrize("sender", stopping.SENDERS)
async def test_sender_does_not_send_when_it_was_stopped_for_too_long(world: World, sender: str, after: int) -> None:
    await stopping.paid_meanwhile(world, sender=sender, after=after)


@pytest.mark.parametrize("plant", _PLANTS)
async def test_nothing_is_wrong_when_nothing_is_planted(world: World, plant: str) -> None:
    story, _ = _FINDS[plant]
    await story(world, None)


@pytest.mark.plants_a_fault
@pytest.mark.parametrize("plant", _PLANTS)
async def test_mistake_is_found_when_it_is_planted(world: World, plant: str) -> None:
    story, finding = _FINDS[plant]
    with pytest.raises(AssertionError) as found:
        await story(world, plant)
    assert finding in str(found.traceback[-1].statement)
