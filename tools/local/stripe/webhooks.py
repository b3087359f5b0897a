"""Delivery of events to the webhook endpoint, as Stripe delivers: late, again and again, in any order."""

from __future__ import annotations

import asyncio
import functools
import json
import random
import ssl
from enum import StrEnum
from typing import Final

import httpx

from tools.local.stripe.account import Account
from tools.local.stripe.agenda import Act, Agenda
from tools.local.stripe.signature import sign
from tools.local.stripe.store import Json

MAX_TRIES: Final = 12
DEADLINE_SECONDS: Final = 5.0  # for an answer
CONCURRENCY: Final = 8
_MAX_BACKOFF_SECONDS: Final = 60.0
_REPEATS: Final = 3


class Delivery(StrEnum):
    NORMAL = "normal"  # up to `concurrency` at a time, so that, as with Stripe, no order is certain
    HELD = "held"  # kept until another mode is set
    REORDERED = "reordered"  # those that are due together go out in another order
    REPEATED = "repeated"  # each three times, two of them at once
    LOST = "lost"  # never


class Webhooks:
    """As they are due: several at a time in the normal mode, and otherwise one after another.

    `concurrency` is how many: with 1 they arrive in order, and who does not answer holds up the rest for the deadline.
    `delay_seconds` from event to delivery; `first_backoff_seconds` to the second try, twice that to the third.
    """

    def __init__(self, account: Account, agenda: Agenda, *, url: str | None, secret: str, delay_seconds: float) -> None:
        self.secret = secret
        self.delay_seconds = delay_seconds
        self.first_backoff_seconds = 1.0
        self.deadline_seconds = DEADLINE_SECONDS
        self.concurrency = CONCURRENCY
        self.random = random.Random(0)  # noqa: S311 -- an order that a test can repeat
        self.held: list[Json] = []
        self._url = url
        self._put_off: set[str] = set()  # the ids of those that the agenda or `held` has
        self._mode = Delivery.NORMAL
        self._account = account
        self._agenda = agenda
        self._client: httpx.AsyncClient | None = None
        agenda.arrange = self._arrange
        agenda.at_once = lambda: self.concurrency if self._mode is Delivery.NORMAL else 1

    @property
    def mode(self) -> Delivery:
        return self._mode

    def set(self, mode: Delivery) -> None:
        """Deliver in this way from now on; what was held is due at once."""
        self._mode = mode
        if mode is not Delivery.HELD:
            held, self.held = self.held, []
            for event in held:
                self._agenda.add(0, functools.partial(self._try, event, 1))

    @property
    def url(self) -> str | None:
        return self._url

    @url.setter
    def url(self, url: str | None) -> None:
        self._url = url
        self._resume()

    def announce(self, event: Json) -> None:
        """Deliver the event when its time comes; without an endpoint it is only kept."""
        if self._url is not None:
            event["pending_webhooks"] = 1
            self._account.changed(event)
            self._schedule(event)

    def start(self) -> None:
        """Go on with what was not delivered when this, or an earlier process, was stopped."""
        self._put_off.clear()
        self._resume()

    def _resume(self) -> None:
        for event in self._account.all("event") if self._url is not None else ():
            if event["pending_webhooks"] and event["id"] not in self._put_off:
                self._schedule(event)

    def _schedule(self, event: Json) -> None:
        self._put_off.add(event["id"])
        self._agenda.add(self.delay_seconds, functools.partial(self._try, event, 1))

    async def send(self, event: Json, *, secret: str | None = None, timestamp: int | None = None) -> int:
        """Deliver the event once, now; the answer's status. Raise httpx's errors when there is none."""
        if self._url is None:
            raise ValueError("there is no webhook_url to deliver to")
        payload = json.dumps(event, indent=2).encode()
        moment = self._account.now() if timestamp is None else timestamp
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": sign(payload, self.secret if secret is None else secret, moment),
        }
        if self._client is None:
            self._client = httpx.AsyncClient(verify=_tls(), follow_redirects=False, trust_env=False)
        async with asyncio.timeout(self.deadline_seconds):
            reply = await self._client.post(self._url, content=payload, headers=headers, timeout=None)
        return reply.status_code

    async def close(self) -> None:
        self.held.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _try(self, event: Json, number: int) -> None:
        if self._mode is Delivery.HELD:
            self.held.append(event)
            return
        if self._mode is Delivery.LOST or self._url is None:
            self._settle(event)
            return
        if self._mode is Delivery.REPEATED and number == 1:
            answers = await asyncio.gather(self._is_taken(event), self._is_taken(event))
            is_taken = all([*answers, *[await self._is_taken(event) for _ in range(_REPEATS - len(answers))]])
        else:
            is_taken = await self._is_taken(event)
        if is_taken or number >= MAX_TRIES:
            self._settle(event)
            return
        backoff = min(self.first_backoff_seconds * 2 ** (number - 1), _MAX_BACKOFF_SECONDS)
        self._agenda.add(backoff, functools.partial(self._try, event, number + 1))

    async def _is_taken(self, event: Json) -> bool:
        try:
            return 200 <= await self.send(event) < 300  # noqa: PLR2004
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return False

    def _settle(self, event: Json) -> None:
        """Taken, or given up."""
        event["pending_webhooks"] = 0
        self._put_off.discard(event["id"])
        self._account.changed(event)
        self._account.store.commit()

    def _arrange(self, due: list[Act]) -> list[Act]:
        if self._mode is not Delivery.REORDERED:
            return due
        arranged = self.random.sample(due, len(due))
        return arranged if arranged != due else arranged[::-1]


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # 10 ms of certificates, once
