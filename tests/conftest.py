"""Real Postgres, real Redis behind the REST server, real HTTP: one server each a run, one database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import pgbouncer
from tests.pgbouncer import PgBouncer
from tests.support import close_clients, forget_process_state, serve_functions
from tests.tls import contexts
from tools.local.demo import load_demo, seed_stripe
from tools.local.mailbox import Mailbox
from tools.local.postgres import LocalPostgres
from tools.local.process import ENDS_WITH_PARENT, end_with_parent
from tools.local.proxy import FaultProxy, refuse_as_smtp
from tools.local.redis import LocalRedis
from tools.local.rest.server import RestServer
from tools.local.stripe.server import FakeStripe
from tools.migrate.runner import migrate

TEMPLATE = "digis_template"


def pytest_configure() -> None:
    """A SIGTERM ends the run as Ctrl-C does: with its servers stopped and their directories removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # In a shell's background Ctrl-C is ignored, and so it would be by what the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.pop(ENDS_WITH_PARENT, None):
        end_with_parent()


@dataclass(frozen=True)
class Services:
    postgres: LocalPostgres
    redis: LocalRedis
    numbers: itertools.count[int]
    pooler: PgBouncer | None

    @property
    def way_to_postgres(self) -> Path | int:
        """What the functions' connections lead to: Postgres itself, or a pooler in front of it."""
        return self.pooler.port if self.pooler else self.postgres.socket


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The servers of the whole run, and a migrated and filled database to copy."""
    directory: Path = tmp_path_factory.mktemp("services")
    postgres = LocalPostgres.launch(directory, temporary=True)
    redis = LocalRedis.launch(directory)
    pooler = PgBouncer.launch(postgres) if pgbouncer.wanted() else None
    try:
        asyncio.run(_prepare(postgres, redis, pooler))
        yield Services(postgres, redis, itertools.count(1), pooler)
    finally:
        if pooler is not None:
            pooler.stop()
        redis.stop()
        postgres.stop()


async def _prepare(postgres: LocalPostgres, redis: LocalRedis, pooler: PgBouncer | None) -> None:
    if pooler is not None:
        await pooler.ready()
    await redis.ready()
    await postgres.ready()
    await postgres.create_database(TEMPLATE)
    url = postgres.url(TEMPLATE, "owner")
    await migrate(url)
    await load_demo(url)


@pytest.fixture
async def rest(services: Services) -> AsyncIterator[RestServer]:
    """The Upstash REST server, in front of an empty Redis."""
    async with RestServer(services.redis.socket) as server:
        await server.command("FLUSHALL")
        await server.command("SCRIPT", "FLUSH")
        await server.reset_counters()
        yield server


@pytest.fixture
async def database_name(services: Services) -> AsyncIterator[str]:
    """A database of this test's own, with the demo data in it."""
    name = f"test_{next(services.numbers)}"
    await services.postgres.create_database(name, template=TEMPLATE)
    yield name
    await services.postgres.drop_database(name)


@pytest.fixture
async def proxy(services: Services) -> AsyncIterator[FaultProxy]:
    """A way to Postgres that can be broken."""
    proxy = FaultProxy(services.way_to_postgres)
    await proxy.start()
    yield proxy
    await proxy.set(proxy.mode.OK)
    await proxy.stop()


@dataclass(frozen=True)
class Post:
    """A mailbox, and the way to it, which can be broken."""

    mailbox: Mailbox
    proxy: FaultProxy

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.proxy.port}"


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    mailbox = Mailbox()
    post = Post(mailbox, FaultProxy(await mailbox.start(), refuse=refuse_as_smtp))
    await post.proxy.start()
    yield post
    await mailbox.stop()
    await post.proxy.set(post.proxy.mode.OK)
    await post.proxy.stop()


@pytest.fixture
async def stripe() -> AsyncIterator[FakeStripe]:
    """A Stripe that knows the demo's creators, whose webhooks leave at once and are tried again almost at once."""
    async with FakeStripe(delay_seconds=0) as fake:
        seed_stripe(fake)
        fake.webhooks.first_backoff_seconds = 0.02
        yield fake


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No settings of whoever runs the tests, and nothing remembered from the test before."""
    for name in (
        *("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "KV_REST_API_URL", "KV_REST_API_TOKEN"),
        *("UPSTASH_KEY_PREFIX", "DATABASE_URL", "ALLOWED_ORIGINS", "PROFILE_CDN_SECONDS", "STAGE", "VERCEL"),
        *("VERCEL_ENV", "AWS_LAMBDA_FUNCTION_NAME", "TRUSTED_EDGE", "EDGE_SECRET", "IDENTITY_HMAC_KEY"),
        *("SESSION_KEYS", "OTP_PEPPER", "SMTP_URL", "MAIL_FROM", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
        *("STRIPE_API_BASE", "STRIPE_DEADLINE_MS", "PAYOUT_HOLD_DAYS", "PAYOUT_ACCOUNT_URL", "CRON_SECRET"),
        *("OPS_TOKEN", "OPS_TOKENS"),
    ):
        monkeypatch.delenv(name, raising=False)
    forget_process_state()
    yield monkeypatch
    forget_process_state()


@pytest.fixture
async def digis(
    services: Services,
    rest: RestServer,
    proxy: FaultProxy,
    post: Post,
    stripe: FakeStripe,
    database_name: str,
    fresh_process: pytest.MonkeyPatch,
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of all functions, on Redis, Stripe, a mailbox, Postgres and a migrated database with demo data."""
    fresh_process.setenv("STRIPE_API_BASE", stripe.url)
    fresh_process.setenv("STRIPE_SECRET_KEY", "sk_test_local")
    fresh_process.setenv("STRIPE_WEBHOOK_SECRET", stripe.webhook_secret)
    fresh_process.setenv("CRON_SECRET", "cron-local")
    fresh_process.setenv("SMTP_URL", post.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_URL", rest.url)
    fresh_process.setenv("UPSTASH_REDIS_REST_TOKEN", "local")
    fresh_process.setenv("DATABASE_URL", services.postgres.url(database_name, tcp_port=proxy.port))
    async with serve_functions() as http:
        stripe.webhook_url = f"{http.base_url}/payments/webhooks/stripe".replace("//payments", "/payments")
        yield http
        stripe.webhook_url = None
    await close_clients()


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext, Path]:
    return contexts(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext, Path]) -> ssl.SSLContext:
    return tls[0]


@pytest.fixture
def client_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext, Path]) -> ssl.SSLContext:
    return tls[1]
