"""What every resource works on: the objects, the clock, new ids, events, and what will happen later."""

from __future__ import annotations

import copy
import secrets
import string
from collections.abc import Callable
from typing import Final

from tools.local.stripe.errors import missing
from tools.local.stripe.store import Json, Store

API_VERSION: Final = "2026-10-28.endive"  # the one that the SDK in use was made for
PREFIXES: Final = {
    "payment_intent": "pi",
    "payment_method": "pm",
    "charge": "ch",
    "refund": "re",
    "dispute": "du",
    "balance_transaction": "txn",
    "event": "evt",
    "account": "acct",
    "account_link": "link",
    "transfer": "tr",
    "transfer_reversal": "trr",
    "topup": "tu",
    "follow_up": "later",
}
_LETTERS: Final = string.ascii_letters + string.digits
_ID_LETTERS: Final = 24


class Account:
    """One Stripe account, the platform's. A change of it is one synchronous function: it checks, then changes, and
    never awaits.

    `on_event` gets each event as it happens, `on_follow_up` each thing that Stripe would do a moment later, and
    `declines` says whether a confirmation is to be declined whatever its card. `base_url` is of the pages that people
    open. A payment's funds are pending for `funds_available_after_seconds`.
    """

    def __init__(self, store: Store, clock: Callable[[], float], *, livemode: bool) -> None:
        self.store = store
        self.livemode = livemode
        self.advanced_seconds = 0.0
        self.request: Json = {"id": None, "idempotency_key": None}  # the one that is executing, as its events name it
        self.on_event: Callable[[Json], None] = lambda _event: None
        self.on_follow_up: Callable[[Json], None] = lambda _follow_up: None
        self.declines: Callable[[], bool] = lambda: False
        self.base_url: Callable[[], str] = lambda: ""
        self.funds_available_after_seconds = 0
        self._clock = clock

    def clock(self) -> float:
        """Seconds since 1970."""
        return self._clock() + self.advanced_seconds

    def now(self) -> int:
        return int(self.clock())

    def all(self, kind: str) -> list[Json]:
        """The oldest first."""
        return list(self.store.tables[kind].values())

    def get(self, kind: str, object_id: str, *, param: str = "id", status: int = 404) -> Json:
        """The object itself. Raise Stripe's resource_missing."""
        found = self.store.tables[kind].get(object_id)
        if found is None:
            raise missing(kind, object_id, param=param, status=status)
        return found

    def find(self, object_id: str) -> Json | None:
        """Any object by its id alone: the prefix says what it is."""
        prefix = object_id.partition("_")[0]
        kinds = [kind for kind, its in PREFIXES.items() if its == prefix]
        return self.store.tables[kinds[0]].get(object_id) if kinds else None

    def make(self, kind: str, **fields: object) -> Json:
        """A new object in the store, with the fields that all have."""
        made: Json = {"id": new_id(kind), "object": kind, "created": self.now(), "livemode": self.livemode, **fields}
        self.store.put(kind, made)
        return made

    def rename(self, made: Json, object_id: str) -> None:
        """Give a new object an id of one's own choice, before anybody has seen the other."""
        self.store.remove(made["object"], made["id"])
        made["id"] = object_id
        self.store.put(made["object"], made)

    def changed(self, changed: Json) -> None:
        self.store.put(changed["object"], changed)

    def announce(self, name: str, subject: Json, *, connected: str | None = None) -> Json:
        """Make the event `name` with the subject as it is now; a Connect event when it is of a `connected` account."""
        event = self.make(
            "event",
            **({} if connected is None else {"account": connected}),
            type=name,
            api_version=API_VERSION,
            data={"object": copy.deepcopy(subject)},
            pending_webhooks=0,
            request=dict(self.request),
        )
        self.on_event(event)
        return event

    def later(self, action: str, object_id: str) -> None:
        """Have the action of that name (see `follow_ups`) done to the object a moment from now."""
        follow_up: Json = {"id": new_id("follow_up"), "action": action, "subject": object_id}
        self.store.put("follow_up", follow_up)
        self.on_follow_up(follow_up)


def new_id(kind: str) -> str:
    """Random, so that no two are alike, whatever was restarted or restored."""
    return f"{PREFIXES[kind]}_{random_letters(_ID_LETTERS)}"


def random_letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))
