"""What is done with payouts, and what reconcile does, each with its crash points."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, Final

from tests.functions.payments.crash import labels_payouts as labels
from tests.functions.payments.crash import payout_events as events
from tests.functions.payments.crash import payout_trials as trials
from tests.functions.payments.crash import reconcile_trials as runs
from tests.functions.payments.crash.labels import COMMIT, LOCKS_ACCOUNTS
from tests.functions.payments.crash.operations import Operation
from tests.functions.payments.crash.payout_trials import Recovery
from tests.functions.payments.crash.points import DEATHS, Way

# Each dies where it differs from those above it. To die before a point is to die after the last.
_WAYS: Final = (Way.SENT, Way.LOST, Way.AFTER)
_KILLED: Final = (Way.AFTER,)


def _of(begun: tuple[str, ...], part: tuple[str, ...]) -> slice:
    """That part, which comes after `begun`."""
    return slice(len(begun), len(begun) + len(part))


_FROM_DECISION: Final = slice(labels.REFUSED_PAYOUT.index(labels.DECIDES) + 1, None)
_FROM_SENDING: Final = slice(labels.PAYOUT.index(labels.SENDS), None)
_FROM_EFFECT: Final = slice(labels.TOLD.index(LOCKS_ACCOUNTS), None)
_START_OF_RESUMING: Final = slice(len(labels.START), len(labels.FIND_NONE + labels.RESUME))
_FROM_MARK: Final = slice(labels.RESUMED.index(labels.SENDS) - len(labels.MARK_SENT), _START_OF_RESUMING.stop)

PAYOUTS: Final = {
    "payout": Operation(trials.Payout, labels.PAYOUT),
    "payout refused": Operation(trials.Refused, labels.REFUSED_PAYOUT, _WAYS, _FROM_DECISION),
    "payout repeated": Operation(trials.Repeated, labels.REPEATED_PAYOUT, _WAYS),
    "payout to a closed account": Operation(trials.Closed, labels.CLOSED_PAYOUT, _WAYS, _FROM_SENDING),
    "payout to an account of which nobody told": Operation(
        trials.Unsure, labels.UNSURE_PAYOUT, _WAYS, _of(labels.UNTIL_UNSURE, labels.LEARN)
    ),
    "payout without funds": Operation(trials.NoFunds, labels.PAYOUT_WITHOUT_FUNDS, _WAYS, _FROM_SENDING),
    "first payout account": Operation(trials.FirstAccount, labels.FIRST_ACCOUNT),
    "transfer created": Operation(events.Created, labels.TOLD),
    "transfer reversed": Operation(events.Reversed, labels.TOLD, _WAYS, _FROM_EFFECT),
    "account updated": Operation(events.Onboarded, labels.ONBOARDED),
    "reconcile: nothing": Operation(runs.Idle, labels.IDLE, _KILLED),
    "reconcile: never sent": Operation(runs.Reserved, labels.RESUMED, DEATHS, _START_OF_RESUMING),
    "reconcile: sent, untold": Operation(runs.Unheard, labels.UNHEARD, _WAYS, _of(labels.FIND_NONE, labels.ADOPT)),
    "reconcile: outcome unknown": Operation(runs.Unknown, labels.RESUMED, _WAYS, _FROM_MARK),
    "reconcile: a day old": Operation(
        runs.DayOld, labels.RESUMED_ANEW, _WAYS, _of(labels.FIND_NONE, labels.RESUME_ANEW)
    ),
    "reconcile: suspended": Operation(runs.Suspended, labels.GIVEN_UP, _WAYS, _of(labels.FIND_NONE, labels.GIVE_UP)),
    "reconcile: reversal untold": Operation(
        runs.ReversalUnheard, labels.REVERSAL_UNHEARD, _WAYS, _of(labels.UNTIL_BOOKS, labels.BOOK_REVERSAL)
    ),
    "reconcile: payment untold": Operation(
        runs.PaymentUnheard, labels.PAYMENT_UNHEARD, _WAYS, _of(labels.UNTIL_BOOKS, labels.BOOK_PAYMENT)
    ),
    "reconcile: payment canceled": Operation(
        runs.Canceled, labels.CANCELED, _WAYS, _of(labels.UNTIL_PURCHASES, labels.CANCEL)
    ),
    "reconcile: top-up": Operation(runs.ToppedUp, labels.TOPPED_UP, _WAYS, _of(labels.UNTIL_BOOKS, labels.BOOK_TOP_UP)),
    "reconcile: undrained": Operation(runs.Undrained, labels.UNDRAINED, _WAYS, _of(labels.START, labels.DRAIN)),
}

_EVERYWHERE: Final = ("payout", "transfer created", "reconcile: never sent")


def recovered(name: str, recovery: Recovery) -> Operation:
    """One of them, and what comes after the death."""
    operation = PAYOUTS[name]
    new_trial: Any = operation.new_trial
    return dataclasses.replace(operation, new_trial=partial(new_trial, recovery=recovery))


def deaths(name: str, recovery: Recovery) -> list[tuple[int, Way]]:
    """Those to recover from in this way.

    A reply that is lost inside a transaction rolls it back, whichever it is of. And on the next day nothing is left of
    a process but what it committed, or had others do: to be killed before a point is to be killed after the last, and
    inside a transaction it is the same everywhere. That is tried with some operations, and taken for granted of others.
    """
    operation, everywhere = PAYOUTS[name], name in _EVERYWHERE
    at_once = recovery is Recovery.AT_ONCE

    def is_tried(point: int, way: Way) -> bool:
        label = operation.labels[point]
        if way is Way.BEFORE:
            return at_once
        may_last = label == COMMIT or not label.startswith("sql")
        return may_last or (everywhere or at_once if way is Way.AFTER else everywhere and at_once)

    return [(point, way) for point, way in operation.deaths if is_tried(point, way)]
