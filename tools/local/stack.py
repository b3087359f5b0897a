"""The services of a laptop: Postgres, Redis behind the Upstash REST server, a fake Stripe, a mailbox; side by side.

What the environment already names (`UPSTASH_REDIS_REST_URL`, `DATABASE_URL`, `STRIPE_API_BASE`, `SMTP_URL`) is used
instead of a part of ours.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tools.local.demo import load_demo, seed_stripe
from tools.local.env_file import (
    ALIKE,
    DEV_PORT,
    STRIPE_KEY,
    STRIPE_WEBHOOK_SECRET,
    UPSTASH_PORT,
    UPSTASH_TOKEN,
    payout_account_url,
    write_env,
)
from tools.local.gateway import UnknownFault
from tools.local.mailbox import Mailbox
from tools.local.postgres import LocalPostgres
from tools.local.proxy import FaultProxy, refuse_as_smtp
from tools.local.proxy import Mode as ProxyMode
from tools.local.redis import LocalRedis
from tools.local.rest.faults import Mode as RestMode
from tools.local.rest.server import RestServer
from tools.local.stripe.faults import Mode as StripeMode
from tools.local.stripe.server import FakeStripe
from tools.local.stripe.webhooks import Delivery
from tools.migrate.runner import migrate

# What the functions read and whoever starts `digis dev` may have chosen: it is used as it is, and passed on.
_GIVEN: Final = (
    *("DATABASE_URL", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "KV_REST_API_URL", "KV_REST_API_TOKEN"),
    *("UPSTASH_KEY_PREFIX", "UPSTASH_DEADLINE_MS", "IDENTITY_HMAC_KEY", "STAGE", "ALLOWED_ORIGINS"),
    *("PROFILE_CDN_SECONDS", "SESSION_KEYS", "OTP_PEPPER", "SMTP_URL", "MAIL_FROM"),
    *("STRIPE_DEADLINE_MS", "PAYOUT_HOLD_DAYS", "PAYOUT_ACCOUNT_URL", "CRON_SECRET"),
    *("OPS_TOKEN", "OPS_TOKENS"),
)
_STRIPE: Final = ("STRIPE_API_BASE", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET")
_WEBHOOKS: Final = "/payments/webhooks/stripe"
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1", None}


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table that `digis dev` prints."""

    name: str
    where: str
    note: str


@dataclass(slots=True)
class Stack:
    """What runs, and the settings that the functions need to use it."""

    data: Path
    given: Mapping[str, str]
    report: Callable[[str], None]
    port: int = DEV_PORT  # where the functions will listen
    env: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    owner_url: str | None = None
    mailbox: Mailbox | None = None
    stripe: FakeStripe | None = None
    _postgres: LocalPostgres | None = None
    _redis: LocalRedis | None = None
    _proxy: FaultProxy | None = None
    _mail_proxy: FaultProxy | None = None
    _rest: RestServer | None = None

    async def start(self, *, demo: bool) -> None:
        """Start what is not given, migrate, load demo data, write `env`. The caller stops it, also on failure."""
        started = time.perf_counter()
        if not self._is_given("UPSTASH_REDIS_REST_URL", "KV_REST_API_URL"):
            self._redis = LocalRedis.launch(self.data / "redis", persist=True)
        if not self._is_given("DATABASE_URL"):
            self._postgres = LocalPostgres.launch(self.data)
        async with asyncio.TaskGroup() as all_of_them:
            all_of_them.create_task(self._ready_upstash())
            all_of_them.create_task(self._ready_postgres())
            all_of_them.create_task(self._ready_stripe())
            all_of_them.create_task(self._ready_mailbox())
        self.report(f"services are up ({time.perf_counter() - started:.2f} s)")
        await self._fill(demo=demo)
        self.env |= ALIKE | {
            "IDENTITY_HMAC_KEY": _kept_secret(self.data / "identity.key"),
            "SESSION_KEYS": f"k1:{_kept_secret(self.data / 'session.key')}",
            "OTP_PEPPER": _kept_secret(self.data / "otp.key"),
            "PAYOUT_ACCOUNT_URL": payout_account_url(self.port),
        }
        self.env |= {name: self.given[name] for name in _GIVEN if self.given.get(name)}
        write_env(self.data, self.env)

    async def stop(self) -> None:
        """Stop every part of ours."""
        if self.stripe is not None:
            await self.stripe.stop()
        if self._rest is not None:
            await self._rest.stop()
        if self._proxy is not None:
            await self._proxy.stop()
        if self.mailbox is not None:
            await self.mailbox.stop()
        if self._mail_proxy is not None:
            await self._mail_proxy.stop()
        if self._redis is not None:
            self._redis.stop()
        if self._postgres is not None:
            self._postgres.stop()

    async def set_fault(self, part: str, mode: str) -> None:
        """Break a running part on purpose, or mend it with `ok`. Raise UnknownFault."""
        known: dict[str, type[StrEnum]] = {
            "upstash": RestMode,
            "postgres": ProxyMode,
            "smtp": ProxyMode,
            "stripe": StripeMode,
            "webhooks": Delivery,
        }
        if (part, mode) == ("webhooks", "ok"):  # every part is mended by the same word
            mode = Delivery.NORMAL
        if part not in known:
            raise UnknownFault(f"no part is called {part}: there are {', '.join(known)}")
        if mode not in set(known[part]):
            raise UnknownFault(f"{part} knows {', '.join(known[part])}")
        proxy = self._proxy if part == "postgres" else self._mail_proxy
        if part == "upstash" and self._rest is not None:
            await self._rest.faults.set(RestMode(mode))
        elif part == "stripe" and self.stripe is not None:
            await self.stripe.faults.set(StripeMode(mode))
        elif part == "webhooks" and self.stripe is not None:
            self.stripe.webhooks.set(Delivery(mode))
        elif part in {"postgres", "smtp"} and proxy is not None:
            await proxy.set(ProxyMode(mode))
        else:
            raise UnknownFault(f"{part} is yours, not ours to break")

    def _is_given(self, *names: str) -> bool:
        return any(self.given.get(name) for name in names)

    async def _ready_upstash(self) -> None:
        if self._redis is None:
            self.parts.append(Part("upstash", "as the environment says", "yours"))
            return
        await self._redis.ready()
        self._rest = await _listening_rest_server(self._redis.socket)
        self.env |= {"UPSTASH_REDIS_REST_URL": self._rest.url, "UPSTASH_REDIS_REST_TOKEN": UPSTASH_TOKEN}
        self.parts.append(Part("upstash", self._rest.url, f"token {UPSTASH_TOKEN}, Redis {self._redis.version}"))

    async def _ready_postgres(self) -> None:
        if self._postgres is None:
            self.parts.append(Part("postgres", "as the environment says", "yours"))
            return
        await self._postgres.ready()
        self._proxy = FaultProxy(self._postgres.socket)
        await self._proxy.start()
        self.env["DATABASE_URL"] = self._postgres.url(tcp_port=self._proxy.port)
        self.owner_url = self._postgres.url(role="owner")
        self.parts.append(Part("postgres", f"127.0.0.1:{self._proxy.port}", f"Postgres {self._postgres.version}"))

    async def _ready_stripe(self) -> None:
        if self._is_given("STRIPE_API_BASE"):  # a key alone is not meant for us: it may be one that moves money
            self.env |= {name: self.given.get(name, "") for name in _STRIPE}
            self.parts.append(Part("stripe", "as the environment says", "yours"))
            return
        self.stripe = FakeStripe(
            api_key=STRIPE_KEY, webhook_secret=STRIPE_WEBHOOK_SECRET, state_file=self.data / "stripe.json"
        )
        await self.stripe.start()
        self.env |= {
            "STRIPE_API_BASE": self.stripe.url,
            "STRIPE_SECRET_KEY": STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET,
        }
        self.parts.append(Part("stripe", self.stripe.url, "a fake: digis pay PURCHASE_ID confirms a payment"))

    def send_webhooks_to(self, base: str) -> None:
        """Have the fake Stripe tell the functions what happens there."""
        if self.stripe is not None:
            self.stripe.webhook_url = f"{base}{_WEBHOOKS}"

    async def _ready_mailbox(self) -> None:
        if self._is_given("SMTP_URL"):
            self.parts.append(Part("smtp", "as the environment says", "yours"))
            return
        self.mailbox = Mailbox()
        self._mail_proxy = FaultProxy(await self.mailbox.start(), refuse=refuse_as_smtp)
        await self._mail_proxy.start()
        self.env["SMTP_URL"] = f"smtp://127.0.0.1:{self._mail_proxy.port}"
        self.parts.append(Part("smtp", f"127.0.0.1:{self._mail_proxy.port}", "what is mailed is at /dev/mailbox"))

    async def _fill(self, *, demo: bool) -> None:
        """Migrate, and load demo data. A database of yours is touched only where it is on this machine."""
        if self.owner_url is None:
            self.owner_url = self.given.get("MIGRATION_DATABASE_URL") or self.given["DATABASE_URL"]
            if urlsplit(self.owner_url).hostname not in _LOOPBACK:
                self.report("your database is not on this machine: neither migrated nor filled (digis migrate does)")
                return
        for applied in await migrate(self.owner_url):
            self.report(f"applied {applied.name} ({applied.milliseconds} ms)")
        if demo:
            if self.stripe is not None:
                seed_stripe(self.stripe)
            counts = await load_demo(self.owner_url, payees=self.stripe is not None)
            if counts.users or counts.charges:
                made = f"{counts.users} users, {counts.creators} of them creators, {counts.charges} charges"
                self.report(f"loaded demo data: {made}")


async def _listening_rest_server(redis_socket: Path) -> RestServer:
    """On the usual port, or on a free one where that is taken."""
    for port in (UPSTASH_PORT, 0):
        server = RestServer(redis_socket, token=UPSTASH_TOKEN, port=port)
        try:
            await server.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == 0:
                raise
        else:
            return server
    raise AssertionError("a free port is not taken")


def _kept_secret(file: Path) -> str:
    """A long random key that stays the same over restarts."""
    if not file.exists():
        file.touch(0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text()
