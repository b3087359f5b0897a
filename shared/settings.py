"""What the environment says, read once, checked, frozen, with its secrets masked."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

from shared import parameters

KEY_CHARACTERS: Final = 32  # the least that one of our own keys may have where it is deployed

_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{0,60}")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")  # as browsers write them: no capitals, no path
_DEFAULT_PORTS: Final = {"https": ":443", "http": ":80"}  # which they leave out

_NAMEABLE: Final = (
    *("DATABASE_URL", "IDENTITY_HMAC_KEY", "EDGE_SECRET", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
    *("KV_REST_API_URL", "KV_REST_API_TOKEN"),
)

# Local only: a laptop's identifiers are not worth a secret. A deployed function refuses to start without one.
LOCAL_HMAC_KEY: Final = "local-only-identity-key-not-a-secret-at-all"


class Platform(StrEnum):
    """Where the process runs. Chosen by environment, never by what a request claims."""

    LOCAL = "local"
    LAMBDA = "lambda"
    VERCEL = "vercel"


class SettingsInvalid(Exception):
    """A setting is missing or wrong. The message names the setting and never its value."""


class Secret(str):
    """A string that shows only stars in logs, tracebacks and reprs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


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

    @property
    def deployed(self) -> bool:
        return self.platform is not Platform.LOCAL

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """Raise SettingsInvalid for a value that cannot be right; leave unset what is not set."""
        platform = _platform(env)
        env = _with_parameters(env, platform)
        stage = env.get("STAGE") or env.get("VERCEL_ENV") or ("local" if platform is Platform.LOCAL else "dev")
        _word("STAGE", stage)
        url, token = _upstash(env)
        return cls(
            platform=platform,
            stage=stage,
            upstash_url=url,
            upstash_token=Secret(token),
            upstash_key_prefix=_word("UPSTASH_KEY_PREFIX", env.get("UPSTASH_KEY_PREFIX", _stage_prefix(stage))),
            upstash_deadline_ms=_integer(env, "UPSTASH_DEADLINE_MS", 800, least=50, most=10_000),
            database_url=_database_url(env.get("DATABASE_URL", "")),
            identity_hmac_key=_own_key(env, "IDENTITY_HMAC_KEY", LOCAL_HMAC_KEY, platform),
            allowed_origins=_origins(env.get("ALLOWED_ORIGINS", "")),
            profile_cdn_seconds=_integer(env, "PROFILE_CDN_SECONDS", 0, least=0, most=3600),
            trusted_edge=_trusted_edge(env),
            edge_secret=Secret(env.get("EDGE_SECRET", "")),
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
            return _rest_url(url_name, url), token
    return None, ""


def _word(name: str, text: str) -> str:
    """What becomes a part of Redis keys."""
    if not _WORD.fullmatch(text):
        raise SettingsInvalid(f"{name} may have letters, digits and . _ : - only, 60 at most")
    return text


def _database_url(url: str) -> Secret | None:
    """As far as it can be seen without the driver, which a cached request does not import."""
    if not url:
        return None
    parts = _split(url)
    if parts is None or parts.scheme not in {"postgres", "postgresql"}:
        raise SettingsInvalid("DATABASE_URL is not a postgresql:// URL")
    return Secret(url)


def _split(url: str) -> SplitResult | None:
    """Return None for what is no URL, or has a port that is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return None if port == 0 else parts


def _rest_url(name: str, url: str) -> str:
    parts = _split(url)
    if parts is None or parts.scheme not in {"https", "http"} or not parts.hostname or not parts.netloc.isascii():
        raise SettingsInvalid(f"{name} is not an http(s) URL")
    if parts.username or parts.query or parts.fragment:
        raise SettingsInvalid(f"{name} has parts that a REST URL does not have")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise SettingsInvalid(f"{name} must be https: plain http is for loopback only")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_key(env: Mapping[str, str], name: str, local: str, platform: Platform) -> Secret:
    """One of our own keys: a laptop has a default, a deployed function none."""
    key = env.get(name, "")
    if platform is Platform.LOCAL:
        return Secret(key or local)
    if key and len(key) < KEY_CHARACTERS:
        raise SettingsInvalid(f"{name} has under {KEY_CHARACTERS} characters")
    return Secret(key)


def _integer(env: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SettingsInvalid(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin) or origin.endswith(_DEFAULT_PORTS[origin.partition(":")[0]]):
            raise SettingsInvalid("ALLOWED_ORIGINS must be exact origins such as https://app.example, with commas")
    return origins


def _trusted_edge(env: Mapping[str, str]) -> str | None:
    edge = env.get("TRUSTED_EDGE") or None
    if edge not in {None, "cloudfront"}:
        raise SettingsInvalid("TRUSTED_EDGE must be unset or cloudfront")
    if edge and not env.get("EDGE_SECRET"):
        raise SettingsInvalid("TRUSTED_EDGE needs EDGE_SECRET: without it anyone could claim to be the edge")
    return edge
