"""`digis doctor`: what is configured, what can be reached, and how far away it is."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from shared.settings import KEY_CHARACTERS, Settings, SettingsInvalid
from tools.cli.screen import fail, table
from tools.local.env_file import DEFAULT_DATA, adopt_env

SAMPLES: Final = 5
SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: `bad` is what makes the command fail."""

    what: str
    state: str
    detail: str
    bad: bool = False


def doctor(
    data: Annotated[Path, typer.Option(help="Of the running digis dev to look at.")] = DEFAULT_DATA,
    *,
    production: Annotated[
        bool, typer.Option("--production", help="Hold the settings to what a deployed function needs.")
    ] = False,
) -> None:
    """Show what is configured, what answers and how far away it is. Exit 1 when something needed is not right."""
    if not production:
        adopt_env(data)
    try:
        settings = Settings.read(os.environ)
    except SettingsInvalid as error:
        fail(str(error))
    findings = [*_configured(settings, production=production), *asyncio.run(_reached(settings))]
    table(("what", "state", ""), [(f.what, _coloured(f), escape(f.detail)) for f in findings])
    if any(finding.bad for finding in findings):
        raise typer.Exit(1)


def _configured(settings: Settings, *, production: bool) -> list[Finding]:
    found = [Finding("platform", settings.platform, f"stage {settings.stage}")]
    found.append(Finding("key prefix", settings.upstash_key_prefix or "none", "before every Redis key"))
    for name, value in (("DATABASE_URL", settings.database_url), ("UPSTASH_REDIS_REST_URL", settings.upstash_url)):
        needed = name == "DATABASE_URL" or production
        found.append(Finding(name, "set" if value else "not set", "", bad=needed and not value))
    # The length of each of SESSION_KEYS is Settings' business.
    for name in ("IDENTITY_HMAC_KEY", "OTP_PEPPER", "SESSION_KEYS", "CRON_SECRET"):
        key = os.environ.get(name, "")
        short = production and len(key) < KEY_CHARACTERS
        advice = f"needs at least {KEY_CHARACTERS} characters" if short else ""
        found.append(Finding(name, "set" if key else "not set", advice, short))
    for name, value in (
        *(("SMTP_URL", settings.smtp_url), ("MAIL_FROM", settings.mail_from)),
        ("STRIPE_SECRET_KEY", settings.stripe_secret_key),
        ("STRIPE_WEBHOOK_SECRET", ",".join(settings.stripe_webhook_secret)),
        ("PAYOUT_ACCOUNT_URL", os.environ.get("PAYOUT_ACCOUNT_URL")),
    ):
        found.append(Finding(name, "set" if value else "not set", "", bad=production and not value))
    origins = ", ".join(settings.allowed_origins)
    found.append(Finding("ALLOWED_ORIGINS", "set" if origins else "none", origins or "no browser may call"))
    return found


async def _reached(settings: Settings) -> list[Finding]:
    from shared.postgres.pool import Database, DatabaseUnavailable  # noqa: PLC0415 -- after the settings are known good
    from shared.upstash.client import Upstash  # noqa: PLC0415
    from shared.upstash.errors import UpstashError  # noqa: PLC0415

    findings = []
    if settings.upstash_url:
        client = Upstash(settings.upstash_url, settings.upstash_token)
        findings.append(await _timed("upstash", lambda: client.execute(["PING"]), UpstashError))
        await client.close()
    if settings.database_url:
        database = Database(settings.database_url)
        findings.append(await _timed("postgres", lambda: database.fetchrow("SELECT 1"), DatabaseUnavailable))
        await database.close()
    return findings


async def _timed(what: str, ask: Callable[[], Awaitable[object]], failure: type[Exception]) -> Finding:
    """The median of a few round trips, the first of which also connects and does not count."""
    samples = []
    try:
        async with asyncio.timeout(SECONDS):
            await ask()
            for _ in range(SAMPLES):
                started = time.perf_counter()
                await ask()
                samples.append((time.perf_counter() - started) * 1000)
    except (failure, TimeoutError) as error:
        return Finding(what, "out of reach", str(error.__cause__ or error), bad=True)
    return Finding(what, "answers", f"{statistics.median(samples):.1f} ms (median of {SAMPLES})")


def _coloured(finding: Finding) -> str:
    return f"[red]{escape(finding.state)}[/]" if finding.bad else f"[green]{escape(finding.state)}[/]"
