"""Stories of what happens to one fan at Stripe, and tellings of them: which webhook arrives when.

A step is a line of words: `buy a t500`, `refund a 1000`, `spend 450`. Before a fan spends, all that has happened so far
has been told; between that, a telling decides.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hypothesis import strategies as st

from tests.functions.payments.world import Bought, Json, World, difference
from tools.local.stripe.errors import StripeRefused

_TELLING_NOTHING: Final = {"payment_intent.created", "charge.succeeded", "charge.failed"}


@dataclass(frozen=True)
class End:
    """Where a story ends. `house`: by how much each of its accounts has changed, and how many transfers there were."""

    wallet: int
    owed: int
    statuses: dict[str, str]
    house: dict[str, int]


class Telling(Protocol):
    """Which events are delivered, and in which order: some after a step, and enough of them before a fan spends."""

    def some(self, known: list[Json], new: list[Json], /) -> list[Json]: ...
    def enough(self, new: list[Json], last: list[Json], /) -> list[Json]: ...


class InOrder:
    """Each as it happens."""

    def some(self, _: list[Json], new: list[Json]) -> list[Json]:
        return new

    def enough(self, new: list[Json], _: list[Json]) -> list[Json]:
        return new


@dataclass(frozen=True)
class Late:
    """None until they must be; then those that tell of money, in the order of that number."""

    order: int = 0

    def some(self, _: list[Json], __: list[Json]) -> list[Json]:
        return []

    def enough(self, new: list[Json], _: list[Json]) -> list[Json]:
        telling = [event for event in new if event["type"] not in _TELLING_NOTHING]
        return list(next(itertools.islice(itertools.permutations(telling), self.order, None), telling))


@dataclass(frozen=True)
class Drawn:
    """As hypothesis likes: repeated, shuffled, and left out where a later one of the same payment arrives."""

    data: st.DataObject

    def some(self, known: list[Json], new: list[Json]) -> list[Json]:
        # The newest first: it says most, and that is what the examples shrink away from.
        choices = [*reversed(new), *reversed(known)]
        return self.data.draw(st.lists(st.sampled_from(choices), max_size=3)) if choices else []

    def enough(self, new: list[Json], last: list[Json]) -> list[Json]:
        others = [event for event in new if event not in last]
        more = self.data.draw(st.lists(st.sampled_from(others), max_size=2)) if others else []
        return self.data.draw(st.permutations([*last, *more])) if last else more


@dataclass
class Story:
    """One fan, and what happens to them. What Stripe refuses does not happen."""

    world: World
    fan: str
    creator: str
    telling: Telling
    http: bool = False
    _bought: dict[str, Bought] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _begun_at: int = 0

    async def play(self, steps: Sequence[str]) -> End:
        self._begun_at = len(self.world.stripe.events)
        try:
            return await self._play(steps)
        except BaseException:  # hypothesis gives up in the middle of one: the books of the others are to be right
            await self._tell(self._events()[1])
            raise

    async def _play(self, steps: Sequence[str]) -> End:
        before = await self.world.ledger()
        for step in steps:
            with contextlib.suppress(StripeRefused):
                await self._do(step.split())
            await self._tell(self.telling.some(*self._events()))
        await self._tell_enough()
        wallet, owed = await self.world.tokens(self.fan)
        statuses = {name: await self.world.status(bought.id) for name, bought in self._bought.items()}
        return End(wallet, owed, statuses, difference(before, await self.world.ledger()))

    async def _do(self, words: list[str]) -> None:
        action, rest = words[0], words[1:]
        if action in {"begin", "buy"}:
            self._bought[rest[0]] = await self.world.begin(self.fan, rest[1])
        if action == "spend":
            await self._tell_enough()
            await self._spend(int(rest[0]))
        else:
            self._at_stripe(action, self._bought.get(rest[0]), rest[1:])

    async def _spend(self, tokens: int) -> None:
        """So many, or what there is."""
        wallet, _ = await self.world.tokens(self.fan)
        if wallet:
            answer = await self.world.charge(self.fan, self.creator, min(tokens, wallet))
            assert answer.status == 201

    def _at_stripe(self, action: str, bought: Bought | None, more: list[str]) -> None:
        stripe = self.world.stripe
        if bought is None or action == "begin":
            return
        if action in {"buy", "confirm", "decline"}:
            stripe.confirm(bought.intent, "pm_card_chargeDeclined" if action == "decline" else "pm_card_visa")
        elif action == "cancel":
            stripe.cancel(bought.intent)
        elif action == "refund":
            stripe.refund(bought.intent, int(more[0]) if more else None)
        elif action == "fail":
            for refund in _of(stripe.refunds, bought, "succeeded")[:1]:
                stripe.fail_refund(refund["id"])
        elif action == "dispute":
            stripe.dispute(bought.intent)
        else:
            assert action in {"win", "lose"}, action
            for dispute in _of(stripe.disputes, bought, "needs_response"):
                stripe.close_dispute(dispute["id"], won=action == "win")

    def _events(self) -> tuple[list[Json], list[Json]]:
        """Those delivered before, and those not."""
        events = self.world.stripe.events[self._begun_at :]
        return (
            [event for event in events if event["id"] in self._told],
            [event for event in events if event["id"] not in self._told],
        )

    async def _tell_enough(self) -> None:
        _, new = self._events()
        last = {_payment_of(event): event for event in self.world.stripe.events[self._begun_at :]}
        await self._tell(self.telling.enough(new, [event for event in last.values() if event in new]))

    async def _tell(self, events: list[Json]) -> None:
        for event in events:
            if self.http:
                assert await self.world.stripe.deliver(event) == 200
            else:
                await self.world.receive(event)
            self._told.add(event["id"])


def _of(objects: dict[str, Json], bought: Bought, status: str) -> list[Json]:
    return [one for one in objects.values() if one["payment_intent"] == bought.intent and one["status"] == status]


def _payment_of(event: Json) -> str:
    found = event["data"]["object"]
    return str(found["id"] if found["object"] == "payment_intent" else found["payment_intent"])
