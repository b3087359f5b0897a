"""The operations that processes die of, each with its crash points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.functions.payments.crash import deliveries, labels, trials
from tests.functions.payments.crash.points import DEATHS, Way
from tests.functions.payments.crash.trials import Trial
from tests.functions.payments.crash.world import World
from tests.functions.payments.people import Buyer


@dataclass(frozen=True)
class Operation:
    """What is tried, the points that it comes by, and at which of them (a slice) it dies in which ways."""

    new_trial: Callable[[World, Buyer], Trial]
    labels: tuple[str, ...]
    ways: tuple[Way, ...] = DEATHS
    dies_at: slice = field(default_factory=lambda: slice(None))

    @property
    def deaths(self) -> list[tuple[int, Way]]:
        """Only of a commit is it worth asking what Postgres makes of its bytes alone."""
        return [
            (point, way)
            for point, label in list(enumerate(self.labels))[self.dies_at]
            for way in self.ways
            if way is not Way.SENT or label == labels.COMMIT
        ]

    @property
    def telling_deaths(self) -> list[tuple[int, Way]]:
        """Some of them: those that have shown what there is to show in most other systems."""
        return [
            (point, way)
            for point, way in self.deaths
            if (self.labels[point] == labels.COMMIT and way in {Way.LOST, Way.AFTER})
            or (self.labels[point].startswith("stripe") and "payment_intents" in self.labels[point] and way is Way.LOST)
        ]


OPERATIONS: Final = {
    "purchase": Operation(trials.Purchase, labels.PURCHASE),
    "charge": Operation(trials.Charge, labels.CHARGE),
    "paid": Operation(deliveries.Paid, labels.BOOKED),
    "refund": Operation(deliveries.Refund, labels.BOOKED),
    "dispute": Operation(deliveries.Dispute, labels.BOOKED),
}

# What else may happen to the same three requests: for awaits that are come by in no other way, and for points that have
# another past or future. Each dies where it differs from the above, and to die before a point is to die after the last.
_WAYS: Final = (Way.LOST, Way.AFTER)
_FROM_STRIPE: Final = slice(labels.PURCHASE.index(labels.CREATES_INTENT), None)
_FROM_DECISION: Final = slice(labels.REFUSED_CHARGE.index(labels.LOCKS_ACCOUNTS), None)
_UNTIL_ADMITTED: Final = slice(len(labels.COLD_GATE))
_FROM_EFFECT: Final = slice(labels.BOOKED.index(labels.LOCKS_ACCOUNTS), None)
VARIANTS: Final = {
    "purchase that Stripe fails": Operation(trials.FailedPurchase, labels.FAILED_PURCHASE, _WAYS, _FROM_STRIPE),
    "purchase resumed": Operation(trials.ResumedPurchase, labels.RESUMED_PURCHASE, _WAYS),
    "purchase overtaken by its webhook": Operation(trials.OvertakenPurchase, labels.OVERTAKEN_PURCHASE, _WAYS),
    "charge with Redis empty": Operation(trials.ColdCharge, labels.COLD_CHARGE, _WAYS, _UNTIL_ADMITTED),
    "charge refused": Operation(trials.RefusedCharge, labels.REFUSED_CHARGE, _WAYS, _FROM_DECISION),
    "event ignored": Operation(deliveries.Ignored, labels.IGNORED, _WAYS),
    "refund, its events in the other order": Operation(
        partial(deliveries.Refund, is_first=False), labels.BOOKED, (Way.AFTER,), _FROM_EFFECT
    ),
    "dispute, its events in the other order": Operation(
        partial(deliveries.Dispute, is_first=False), labels.BOOKED, (Way.AFTER,), _FROM_EFFECT
    ),
}

ALL: Final = OPERATIONS | VARIANTS
