"""What the environment says, read once, checked, frozen, with its secrets masked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from shared import parameters
from shared import settings_values as values
from shared.settings_values import KEY_CHARACTERS, Keys, Secret, SettingsInvalid

__all__ = ["KEY_CHARACTERS", "Keys", "Platform", "Secret", "Settings", "SettingsInvalid", "settings"]

_NAMEABLE: Final = (
    *("DATABASE_URL", "IDENTITY_HMAC_KEY", "EDGE_SECRET", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
    *("KV_REST_API_URL", "KV_REST_API_TOKEN", "SESSION_KEYS", "OTP_PEPPER", "SMTP_URL"),
    *("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "CRON_SECRET", "OPS_TOKEN", "OPS_TOKENS"),
)

# Local only: a laptop's data is not worth a secret. A deployed function refuses to start without its keys.
LOCAL_KEY: Final = "local-only-key-that-is-not-a-secret-at-all"


class Platform(StrEnum):
    """Where the process runs. Chosen by environment, never by what a request claims."""

    LOCAL = "local"
    LAMBDA = "lambda"
    VERCEL = "vercel"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of the functions. Times are in seconds unless the name says milliseconds."""

    platform: Platform
    stage: str
    upstash_url: str | None
    upstash_token: Secret
    upstash_key_prefix: str
    upstash_deadline_ms: int
    database_url: Secret | None
    identity_hmac_key: Secret
    allowed_origins: tuple[str, ...]
    profile_cdn_seconds: int
    trusted_edge: str | None
    edge_secret: Secret
    session_keys: Keys
    otp_pepper: Secret
    smtp_url: Secret | None
    mail_from: str
    stripe_secret_key: Secret
    stripe_webhook_secret: tuple[Secret, ...]
    stripe_api_base: str | None
    stripe_deadline_ms: int
    payout_hold_days: int
    payout_account_url: str
    cron_secret: Secret
    ops_token: Secret
    ops_tokens: Mapping[str, Secret]

    @property
    def deployed(self) -> bool:
        return self.platform is not Platform.LOCAL

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """Raise SettingsInvalid for a value that cannot be right; leave unset what is not set."""
        platform = _platform(env)
        env = _with_parameters(env, platform)
        stage = env.get("STAGE") or env.get("VERCEL_ENV") or ("local" if platform is Platform.LOCAL else "dev")
        values.word("STAGE", stage)
        url, token = _upstash(env)
        return cls(
            platform=platform,
            stage=stage,
            upstash_url=url,
            upstash_token=Secret(token),
            upstash_key_prefix=values.word("UPSTASH_KEY_PREFIX", env.get("UPSTASH_KEY_PREFIX", _stage_prefix(stage))),
            upstash_deadline_ms=values.integer(env, "UPSTASH_DEADLINE_MS", 800, least=50, most=10_000),
            database_url=values.database_url(env.get("DATABASE_URL", "")),
            identity_hmac_key=_own_key(env, "IDENTITY_HMAC_KEY", platform),
            allowed_origins=values.origins(env.get("ALLOWED_ORIGINS", "")),
            profile_cdn_seconds=values.integer(env, "PROFILE_CDN_SECONDS", 0, least=0, most=3600),
            trusted_edge=_trusted_edge(env),
            edge_secret=Secret(env.get("EDGE_SECRET", "")),
            session_keys=values.keys("SESSION_KEYS", env.get("SESSION_KEYS") or _local(platform, f"local:{LOCAL_KEY}")),
            otp_pepper=_own_key(env, "OTP_PEPPER", platform),
            smtp_url=values.smtp_url(env.get("SMTP_URL", "")),
            mail_from=env.get("MAIL_FROM", "") or _local(platform, "no-reply@digis.test"),
            stripe_secret_key=Secret(env.get("STRIPE_SECRET_KEY", "")),
            stripe_webhook_secret=values.secrets(env.get("STRIPE_WEBHOOK_SECRET", "")),
            stripe_api_base=values.rest_url("STRIPE_API_BASE", base) if (base := env.get("STRIPE_API_BASE")) else None,
            stripe_deadline_ms=values.integer(env, "STRIPE_DEADLINE_MS", 6000, least=100, most=12_000),
            payout_hold_days=values.integer(env, "PAYOUT_HOLD_DAYS", 7, least=0, most=90),
            payout_account_url=values.page("PAYOUT_ACCOUNT_URL", env.get("PAYOUT_ACCOUNT_URL", ""))
            or _local(platform, "http://127.0.0.1:8787/docs"),
            cron_secret=Secret(env.get("CRON_SECRET", "")),
            ops_token=Secret(env.get("OPS_TOKEN", "")),
            ops_tokens=values.operators("OPS_TOKENS", env.get("OPS_TOKENS", "")),
        )

    def require(self, *names: str) -> None:
        """Raise SettingsInvalid when one of these is unset: a deployed function's start, not its first request."""
        missing = [name.upper() for name in names if not getattr(self, name)]
        if missing:
            raise SettingsInvalid(f"not set: {', '.join(missing)}")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read at first use."""
    return Settings.read(os.environ)


def _platform(env: Mapping[str, str]) -> Platform:
    if env.get("AWS_LAMBDA_FUNCTION_NAME"):
        return Platform.LAMBDA
    if env.get("VERCEL"):
        return Platform.VERCEL
    return Platform.LOCAL


def _with_parameters(env: Mapping[str, str], platform: Platform) -> Mapping[str, str]:
    """Put values in the place of the names of parameters. They are read each time: secrets rotate."""
    named = {name: env[name] for name in _NAMEABLE if parameters.is_name(env.get(name, ""))}
    if not named:
        return env
    if platform is not Platform.LAMBDA:
        raise SettingsInvalid(f"{next(iter(named))} names a parameter of AWS, which only a Lambda function reads")
    try:
        return {**env, **parameters.read(named)}
    except parameters.ParameterUnreadable as error:
        raise SettingsInvalid(str(error)) from None


def _stage_prefix(stage: str) -> str:
    """Previews share a database with no one: production and a laptop have their Redis to themselves."""
    return "" if stage in {"production", "local"} else f"{stage}:"


def _upstash(env: Mapping[str, str]) -> tuple[str | None, str]:
    for url_name, token_name in (
        ("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
        ("KV_REST_API_URL", "KV_REST_API_TOKEN"),  # what Vercel's marketplace integration sets
    ):
        if url := env.get(url_name, "").strip():
            if not (token := env.get(token_name, "").strip()):
                raise SettingsInvalid(f"{url_name} is set but {token_name} is not")
            if not token.isascii() or not token.isprintable() or " " in token:
                raise SettingsInvalid(f"{token_name} is not a token")
            return values.rest_url(url_name, url), token
    return None, ""


def _own_key(env: Mapping[str, str], name: str, platform: Platform) -> Secret:
    """One of our own keys: a laptop has a default, a deployed function none."""
    key = env.get(name, "") or _local(platform, LOCAL_KEY)
    if key and platform is not Platform.LOCAL:
        values.long_enough(name, key)
    return Secret(key)


def _local(platform: Platform, default: str) -> str:
    """What is used on a laptop where nothing is set."""
    return default if platform is Platform.LOCAL else ""


def _trusted_edge(env: Mapping[str, str]) -> str | None:
    edge = env.get("TRUSTED_EDGE") or None
    if edge not in {None, "cloudfront"}:
        raise SettingsInvalid("TRUSTED_EDGE must be unset or cloudfront")
    if edge and not env.get("EDGE_SECRET"):
        raise SettingsInvalid("TRUSTED_EDGE needs EDGE_SECRET: without it anyone could claim to be the edge")
    return edge
