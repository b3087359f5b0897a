"""Every key prefix and every time to live, in one place. No other module writes one."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from shared.settings import settings

SHORT: Final = 300
MEDIUM: Final = 1800
LONG: Final = 3600
DAY: Final = 86400
WEEK: Final = 604800

_PART_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-=@")
_PART_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Prefix:
    """A family of keys. `ttl` is in seconds; None: each key's owner says (flags and counters live on)."""

    name: str
    ttl: int | None


USER: Final = Prefix("user", MEDIUM)
SESSION: Final = Prefix("session", DAY)
TOKEN: Final = Prefix("token", SHORT)  # balances
CREATOR: Final = Prefix("creator", SHORT)  # profiles and lists
STREAM: Final = Prefix("stream", 90)
RATE: Final = Prefix("rate", None)  # two windows of its policy
OTP: Final = Prefix("otp", 600)  # sign-in and reset codes
EMAIL: Final = Prefix("email", 600)  # address verification codes
TEMP: Final = Prefix("temp", SHORT)  # reset tokens and leases
ANALYTICS: Final = Prefix("analytics", LONG)  # fresh for MEDIUM
LOCK: Final = Prefix("lock", 60)
FLAG: Final = Prefix("flag", None)
COUNTER: Final = Prefix("counter", None)


class KeyPartInvalid(ValueError):
    """A part of a key is empty, too long, or has a character that could make it another key."""


def key(prefix: Prefix, *parts: str) -> str:
    """The full Redis key, with the stage's prefix in front. Raise KeyPartInvalid for an unsafe part."""
    for part in parts:
        if not part or len(part) > _PART_LENGTH or not _PART_CHARACTERS.issuperset(part):
            raise KeyPartInvalid(f"not a key part in {prefix.name}:")
    return f"{settings().upstash_key_prefix}{prefix.name}:{':'.join(parts)}"


def personal(kind: str, value: str) -> str:
    """A stand-in for an e-mail or an address: 128 bits of HMAC, useless without our key. `kind` keeps an
    address from ever meeting an e-mail of the same text."""
    mac = hmac.digest(settings().identity_hmac_key.encode(), f"{kind}\0{value}".encode(), sha256)
    return mac[:16].hex()
