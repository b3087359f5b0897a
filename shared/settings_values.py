"""What settings are made of: the value of one variable, checked. A message names the variable and never its value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

KEY_CHARACTERS: Final = 32  # the least that one of our own keys may have where it is deployed

_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{0,60}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9]{1,16}")
_OPERATOR: Final = re.compile(r"[A-Za-z0-9._-]{1,60}")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")  # as browsers write them: no capitals, no path
_DEFAULT_PORTS: Final = {"https": ":443", "http": ":80"}  # which they leave out


class SettingsInvalid(Exception):
    """A setting is missing or wrong. The message names the setting and never its value."""


class Secret(str):
    """A string that shows only stars in logs, tracebacks and reprs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


@dataclass(frozen=True, slots=True)
class Keys:
    """Signing keys by id. The first signs; all of them verify, so that a key can be replaced without a cut."""

    by_id: Mapping[str, Secret]

    def __bool__(self) -> bool:
        return bool(self.by_id)

    @property
    def signing(self) -> tuple[str, Secret]:
        return next(iter(self.by_id.items()))


def keys(name: str, text: str) -> Keys:
    """`id:key,id:key`, the newest first."""
    found: dict[str, Secret] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key_id, separator, key = part.partition(":")
        if not separator or not _KEY_ID.fullmatch(key_id) or key_id in found:
            raise SettingsInvalid(f"{name} must be id:key pairs with commas, the newest first")
        found[key_id] = Secret(long_enough(name, key))
    return Keys(found)


def operators(name: str, text: str) -> dict[str, Secret]:
    """`name:sha256,name:sha256`: operators by name, with the SHA-256 of each one's token in hex."""
    found: dict[str, Secret] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        operator, _, digest = part.partition(":")
        if not _OPERATOR.fullmatch(operator) or not _SHA256.fullmatch(digest) or operator in found:
            raise SettingsInvalid(f"{name} must be name:sha256 pairs with commas, each name once")
        found[operator] = Secret(digest.lower())
    return found


def long_enough(name: str, key: str) -> str:
    if len(key) < KEY_CHARACTERS:
        raise SettingsInvalid(f"{name} has under {KEY_CHARACTERS} characters")
    return key


def secrets(text: str) -> tuple[Secret, ...]:
    """One, or while one is replaced two, with a comma."""
    return tuple(Secret(part) for part in text.replace(" ", "").split(",") if part)


def smtp_url(url: str) -> Secret | None:
    if not url:
        return None
    parts = _split(url)
    if parts is None or parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise SettingsInvalid("SMTP_URL is not an smtp:// or smtps:// URL")
    return Secret(url)


def page(name: str, url: str) -> str:
    """A page that people are sent to."""
    if url and ((parts := _split(url)) is None or parts.scheme not in {"https", "http"} or not parts.hostname):
        raise SettingsInvalid(f"{name} is not an http(s) URL")
    return url


def word(name: str, text: str) -> str:
    """What becomes a part of Redis keys."""
    if not _WORD.fullmatch(text):
        raise SettingsInvalid(f"{name} may have letters, digits and . _ : - only, 60 at most")
    return text


def database_url(url: str) -> Secret | None:
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


def rest_url(name: str, url: str) -> str:
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


def integer(env: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SettingsInvalid(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin) or origin.endswith(_DEFAULT_PORTS[origin.partition(":")[0]]):
            raise SettingsInvalid("ALLOWED_ORIGINS must be exact origins such as https://app.example, with commas")
    return origins
