"""A Stripe of one's own: a laptop's and the tests', which the real SDK talks to over HTTP."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.local.listener import Listener
from tools.local.stripe import signature
from tools.local.stripe.account import Account
from tools.local.stripe.agenda import Agenda
from tools.local.stripe.dashboard import Dashboard
from tools.local.stripe.faults import Faults, Mode
from tools.local.stripe.follow_ups import follow_up
from tools.local.stripe.front import Front, Seen
from tools.local.stripe.store import Json, Store
from tools.local.stripe.webhooks import Webhooks


class FakeStripe(Dashboard):
    """`async with FakeStripe(webhook_url=...) as fake: StripeClient("sk_test_local", base_addresses={"api": fake.url})`

    State is in memory and, with a `state_file`, outlives a restart; one process at a time may have the file. `clock`
    is in seconds since 1970. What Stripe does on its own (webhooks, disputes, refunds that fail) it does
    `delay_seconds` later. What people do and see there is the Dashboard's part.
    """

    def __init__(
        self,
        *,
        api_key: str = "sk_test_local",
        webhook_secret: str = "whsec_local",  # noqa: S107 -- of a server on loopback
        webhook_url: str | None = None,
        delay_seconds: float = 1.0,
        state_file: Path | None = None,
        clock: Callable[[], float] = time.time,
        livemode: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._store = Store(state_file)
        super().__init__(Account(self._store, clock, livemode=livemode))
        self._agenda = Agenda()
        self.webhooks = Webhooks(
            self._account, self._agenda, url=webhook_url, secret=webhook_secret, delay_seconds=delay_seconds
        )
        self.faults = Faults(self._set_listening)
        self._account.on_event = self.webhooks.announce
        self._account.on_follow_up = self._put_off
        self._account.declines = self.faults.declines
        self._account.base_url = lambda: self.url
        self._front = Front(self._account, self.faults, api_key)
        self._listener = Listener(self._front, host=host, port=port)

    @property
    def url(self) -> str:
        return self._listener.url

    @property
    def webhook_url(self) -> str | None:
        return self.webhooks.url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.webhooks.url = url

    @property
    def webhook_secret(self) -> str:
        return self.webhooks.secret

    @property
    def requests(self) -> int:
        """How many came in since the last `reset_counters`."""
        return self._front.requests

    @property
    def seen(self) -> list[Seen]:
        """Those requests, the oldest first: (method, path, idempotency_key)."""
        return list(self._front.seen)

    def reset_counters(self) -> None:
        self._front.requests = 0
        self._front.seen.clear()

    async def start(self) -> None:
        """Listen, and go on where an earlier process ended. Raise OSError: the port is taken, the file unreadable."""
        self._store.open()
        try:
            await self._listener.start()
        except OSError:
            self._store.close()
            raise
        self._agenda.start()
        self.webhooks.start()
        for put_off in self._account.all("follow_up"):
            self._put_off(put_off)

    async def stop(self) -> None:
        """Close every connection and stop listening; nothing of it runs on."""
        await self._agenda.stop()
        await self.faults.set(Mode.OK)
        await self._listener.stop()
        await self.webhooks.close()
        self._store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def advance(self, seconds: float) -> None:
        """Let so much time pass on the account's clock: for what is created and pruned, not for what is delivered."""
        self._account.advanced_seconds += seconds

    # Webhooks

    @property
    def events(self) -> list[Json]:
        """The oldest first."""
        return self._account.all("event")

    def sign(self, payload: bytes, timestamp: int | None = None, secret: str | None = None) -> str:
        """The Stripe-Signature of a body, now and with the webhook's secret unless others are given."""
        moment = self._account.now() if timestamp is None else timestamp
        return signature.sign(payload, self.webhook_secret if secret is None else secret, moment)

    async def deliver(self, event: Json, *, secret: str | None = None, timestamp: int | None = None) -> int:
        """Deliver an event once, now, whatever the mode; the answer's status. Raise httpx's errors, TimeoutError."""
        return await self.webhooks.send(event, secret=secret, timestamp=timestamp)

    async def delivered(self) -> None:
        """Wait until nothing is put off any more: no webhook but those held, no dispute, no refund that will fail."""
        await self._agenda.done()

    def _put_off(self, put_off: Json) -> None:
        self._agenda.add(self.webhooks.delay_seconds, functools.partial(self._follow_up, put_off))

    async def _follow_up(self, put_off: Json) -> None:
        follow_up(self._account, put_off)
        self._store.commit()

    async def _set_listening(self, *, listening: bool) -> None:
        if listening:
            await self._listener.start()
        else:
            await self._listener.stop(grace_seconds=0)
